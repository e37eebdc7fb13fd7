"""Small print and unread ink through the C API: chosen, read and flagged as in Python."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import capi_library as capi
import numpy as np
import pytest
from capi_library import CapiError, Library, LoadedModel
from conftest import ROOT
from crispvl import CrispOCR
from crispvl.convert import convert_checkpoint
from numpy.typing import NDArray
from tiny import ROWS, make_checkpoint

sys.path.insert(0, str(ROOT / "tests" / "layout"))
from rendered import RenderedPage


@pytest.fixture(scope="module")
def ocr(nano: Path) -> CrispOCR:
    return CrispOCR(nano, image_cache_bytes=0)


@pytest.fixture(scope="module")
def whole_page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model that was not made for lines."""
    folder = tmp_path_factory.mktemp("model")
    checkpoint, file = make_checkpoint(ROWS[0], folder / "checkpoint"), folder / "model.gguf"
    convert_checkpoint(checkpoint, file, "f32")
    return file


def two_notes() -> NDArray[np.uint8]:
    page = RenderedPage(width_mm=100, height_mm=100, dpi=100)
    page.write(10, 12, "the quick brown", points=14)
    page.write(10, 90, "jumps over a lazy", points=14)
    return page.pixels


def blots() -> NDArray[np.uint8]:
    """Ink in which there are no lines of text."""
    page = np.full((1200, 900, 3), 255, np.uint8)
    y, x = np.mgrid[:1200, :900]
    page[(x - 450) ** 2 + (y - 500) ** 2 < 300**2] = 0
    return page


def test_blocks_are_read_as_in_python(model: LoadedModel, ocr: CrispOCR) -> None:
    expected = ocr.recognize(two_notes(), layout="blocks", max_tiles=1, speculate=False).pages[0]
    told: list[str] = []

    @capi.OnToken
    def on_token(token: ctypes._Pointer, _: object) -> int:
        told.append(token.contents.text.decode())
        return 0

    found = model.recognize(two_notes(), layout=capi.BLOCKS, max_tiles=1, on_token=on_token)
    assert expected.generation is not None
    assert expected.text.count("\n\n") == 1
    assert found.text == expected.text == "".join(told)
    assert found.ids == expected.generation.ids
    assert (found.info.layout, found.info.finish) == (capi.BLOCKS, capi.STOP)
    assert found.info.n_tiles == expected.n_tiles == 2
    assert found.info.n_prompt_tokens == expected.generation.n_prompt_tokens
    assert (found.info.width_px, found.info.height_px) == two_notes().shape[1::-1]


def test_the_limit_of_tokens_is_that_of_all_blocks(model: LoadedModel, ocr: CrispOCR) -> None:
    settings = {"max_tiles": 1, "max_tokens": 3}
    expected = ocr.recognize(two_notes(), layout="blocks", speculate=False, **settings).pages[0]
    found = model.recognize(two_notes(), layout=capi.BLOCKS, **settings)
    assert expected.generation is not None
    assert found.info.finish == capi.LENGTH
    assert (found.text, found.ids) == (expected.text, expected.generation.ids)


def test_a_callback_ends_the_reading_after_a_block(model: LoadedModel) -> None:
    stop = capi.OnToken(lambda token, _: 1)
    found = model.recognize(two_notes(), layout=capi.BLOCKS, max_tiles=1, on_token=stop)
    assert found.info.finish == capi.BY_CALLER
    assert found.info.n_tiles == 1
    assert "\n\n" not in found.text


@pytest.mark.parametrize("max_tiles", [1, 4, 40])
@pytest.mark.parametrize("points", [8, 30])
def test_auto_chooses_as_python_does(
    points: float, max_tiles: int, library: Library, whole_page_file: Path
) -> None:
    page = RenderedPage(width_mm=80, height_mm=60, dpi=100)
    page.write(5, 20, "one", points=points)
    page.write(5, 50, "two", points=points)
    settings = {"max_tiles": max_tiles, "max_tokens": 2}
    with CrispOCR(whole_page_file, image_cache_bytes=0) as python:
        expected = python.recognize(page.pixels, layout="auto", **settings).pages[0]
    found = library.load(path=str(whole_page_file)).recognize(
        page.pixels, layout=capi.AUTO, **settings
    )
    assert found.info.layout == {"page": capi.PAGE, "blocks": capi.BLOCKS}[expected.layout]
    assert found.info.n_tiles == expected.n_tiles


def test_auto_chooses_both(library: Library, whole_page_file: Path) -> None:
    page = RenderedPage(width_mm=80, height_mm=60, dpi=100)
    page.write(5, 20, "words", points=24)
    tiny = library.load(path=str(whole_page_file))
    chosen = [
        tiny.recognize(
            page.pixels, layout=capi.AUTO, max_tiles=n, min_tiles=n, max_tokens=2
        ).info.layout
        for n in (1, 25)
    ]
    assert chosen == [capi.BLOCKS, capi.PAGE]


@pytest.mark.parametrize("layout", [capi.LINES, capi.PAGE])
def test_ink_without_text_is_flagged_as_in_python(
    layout: int, model: LoadedModel, ocr: CrispOCR
) -> None:
    name = {capi.LINES: "lines", capi.PAGE: "page"}[layout]
    expected = ocr.recognize(blots(), layout=name).pages[0]
    found = model.recognize(blots(), layout=layout)
    assert found.text == expected.text
    assert bool(found.info.unread_ink) == expected.has_unread_ink
    if layout == capi.LINES:
        assert found.info.unread_ink == 1


def test_a_page_that_is_blank_or_was_read_has_no_unread_ink(model: LoadedModel) -> None:
    assert model.recognize(np.full((300, 200), 240, np.uint8)).info.unread_ink == 0
    assert model.recognize(two_notes()).info.unread_ink == 0


def test_a_layout_that_there_is_not_is_refused(model: LoadedModel) -> None:
    with pytest.raises(CapiError, match="crispvl_layout"):
        model.recognize(two_notes(), layout=5)
