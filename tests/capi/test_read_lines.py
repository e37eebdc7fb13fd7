"""Pages read by their lines through the C API: what the Python package reads, and where."""

from __future__ import annotations

import ctypes
import sys
from ctypes import byref, c_size_t, c_void_p, sizeof
from pathlib import Path
from typing import Any

import capi_library as capi
import numpy as np
import pytest
from capi_library import CapiError, Library, LoadedModel, Result, image_of
from conftest import ROOT
from crispvl import CrispOCR
from crispvl.results.page import Page
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(ROOT / "tests" / "layout"))
from rendered import RenderedPage

RECEIPT = ROOT / "examples" / "receipt.png"


@pytest.fixture(scope="module")
def ocr(nano: Path) -> CrispOCR:
    return CrispOCR(nano)


def _letter() -> Image.Image:
    page = RenderedPage(height_mm=90, dpi=150)
    page.write(25, 20, "A heading of the letter", points=20)
    page.column(25, 32, 100, n_lines=4)
    rows = [("Article", "Pieces", "Price"), ("Paint", "12", "7.00"), ("Brush", "3", "11.25")]
    for y, row in enumerate(rows):
        for x, text in zip((25, 70, 110), row, strict=True):
            page.write(x, 65 + 7 * y, text)
    return Image.fromarray(page.pixels).convert("RGB")


def _dithered() -> Image.Image:
    page = Image.new("L", (700, 260), 255)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(48)
    draw.text((40, 30), "CORNER SHOP", fill=215, font=font)
    draw.text((40, 130), "12 May 2026", fill=0, font=font)
    return page.convert("1").convert("RGB")


def _magenta_on_green() -> Image.Image:
    ink = np.asarray(_letter().convert("L")) < 128
    return Image.fromarray(np.where(ink[..., None], (200, 30, 150), (0, 160, 0)).astype(np.uint8))


PAGES = {
    "receipt": lambda: Image.open(RECEIPT).convert("RGB"),
    "letter": _letter,
    "turned": lambda: _letter().rotate(93, expand=True, fillcolor="white"),
    "dithered": _dithered,
    "magenta on green": _magenta_on_green,
}


def assert_alike(found: Result, page: Page) -> None:
    """Text, tokens, and every line and word with its place are those of the Python package."""
    generation = page.generation
    assert generation is not None
    assert found.text == page.text
    assert found.ids == generation.ids
    np.testing.assert_allclose(found.logprobs, generation.logprobs, atol=1e-6)
    assert found.info.confidence == pytest.approx(generation.confidence.mean, abs=1e-6)
    assert len(found.lines) == len(page.lines)
    assert len(found.words) == len(page.words)
    for parts, expected in ((found.lines, page.lines), (found.words, page.words)):
        for part, known in zip(parts, expected, strict=True):
            assert part.text == known.text
            assert part.start_bytes == len(page.text[: known.start].encode())
            assert part.confidence == pytest.approx(known.confidence, abs=1e-5)
            assert known.quad is not None
            np.testing.assert_allclose(part.quad, known.quad, atol=0.011)


@pytest.mark.parametrize("task", ["text", "markdown"])
@pytest.mark.parametrize("name", PAGES)
def test_lines_words_and_places_are_pythons(
    name: str, task: Any, model: LoadedModel, ocr: CrispOCR
) -> None:
    image = PAGES[name]()
    expected = ocr.recognize(image, task=task, layout="lines").pages[0]
    found = model.recognize(
        np.asarray(image), task={"text": capi.TEXT, "markdown": capi.MARKDOWN}[task]
    )
    assert (found.info.layout, found.info.finish) == (capi.LINES, capi.STOP)
    assert len(found.words) > 4
    assert_alike(found, expected)
    assert expected.generation is not None
    assert found.info.n_tiles == expected.n_tiles
    assert found.info.n_prompt_tokens == expected.generation.n_prompt_tokens


def test_words_belong_to_their_lines(model: LoadedModel) -> None:
    found = model.recognize(str(RECEIPT))
    data = found.text.encode()
    for part in (*found.lines, *found.words):
        assert data[part.start_bytes :].startswith(part.text.encode())
    for i, line in enumerate(found.lines):
        words = [found.words[k] for k in line.words]
        assert line.text == " ".join(word.text for word in words)
        assert {word.i_line for word in words} == {i} == {line.i_line}
        assert {word.block for word in words} == {line.block}
    assert [k for line in found.lines for k in line.words] == list(range(len(found.words)))
    assert [word.words for word in found.words] == [
        range(k, k + 1) for k in range(len(found.words))
    ]


def test_a_prompt_asks_about_the_page_as_a_whole(model: LoadedModel) -> None:
    for layout in (capi.DEFAULT, capi.AUTO):
        found = model.recognize(str(RECEIPT), prompt="Read.", layout=layout, max_tokens=2)
        assert (found.info.layout, found.lines, found.words) == (capi.PAGE, [], [])
    with pytest.raises(CapiError, match=r"\[layout\]") as raised:
        model.recognize(str(RECEIPT), prompt="Read.", layout=capi.LINES)
    assert raised.value.status == capi.ARGUMENT


def test_auto_reads_as_the_model_was_made_to(model: LoadedModel) -> None:
    found = model.recognize(str(RECEIPT), layout=capi.AUTO)
    assert found.info.layout == capi.LINES
    assert found.text == model.recognize(str(RECEIPT)).text
    assert (found.info.n_columns, found.info.n_rows) == (0, 0)


def test_a_page_without_ink_is_empty(model: LoadedModel) -> None:
    found = model.recognize(np.full((300, 200), 255, np.uint8))
    assert (found.text, found.ids, found.lines) == ("", [], [])
    assert (found.info.finish, found.info.confidence) == (capi.STOP, 0)


@pytest.mark.parametrize("most", [1, 40])
def test_a_page_stops_after_the_most_tokens(model: LoadedModel, ocr: CrispOCR, most: int) -> None:
    found = model.recognize(str(RECEIPT), max_tokens=most)
    assert found.info.finish == capi.LENGTH
    assert found.text
    assert 0 < len(found.ids) <= most
    assert_alike(found, ocr.recognize(RECEIPT, max_tokens=most).pages[0])


def test_text_comes_line_by_line_and_a_callback_can_stop_it(model: LoadedModel) -> None:
    seen: list[tuple[int, str]] = []
    n_most = 1 << 30

    @capi.OnToken
    def on_token(token: ctypes._Pointer, _: object) -> int:
        seen.append((token.contents.id, token.contents.text.decode()))
        return int(len(seen) >= n_most)

    whole = model.recognize(str(RECEIPT), on_token=on_token)
    assert {token_id for token_id, _ in seen} == {-1}
    assert len(seen) == whole.text.count("\n") + 1 - whole.text.count("\n\n")
    assert "".join(text for _, text in seen) == whole.text
    seen.clear()
    n_most = 3
    part = model.recognize(str(RECEIPT), on_token=on_token)
    assert part.info.finish == capi.BY_CALLER
    assert "".join(text for _, text in seen) == part.text
    assert whole.text.startswith(part.text)
    assert len(part.lines) >= 3


def test_progress_ends_at_all_tiles(model: LoadedModel) -> None:
    seen: list[tuple[int, int]] = []
    progress = capi.OnProgress(lambda n_done, n_tiles, _: seen.append((n_done, n_tiles)))
    result = model.recognize(str(RECEIPT), on_progress=progress)
    ends = [n_tiles for n_done, n_tiles in seen if n_done == n_tiles]
    assert sum(ends) == result.info.n_tiles == len(seen)


def test_a_cancelled_page_gives_what_there_is(library: Library, model: LoadedModel) -> None:
    cancel = c_void_p()
    library.call("cancel_new", byref(cancel))

    @capi.OnToken
    def on_token(_: object, __: object) -> int:
        library.crispvl_cancel_request(cancel)
        return 0

    with pytest.raises(CapiError) as raised:
        model.recognize(str(RECEIPT), on_token=on_token, cancel=cancel)
    assert raised.value.status == capi.CANCELLED
    partial = raised.value.result
    assert partial is not None
    assert partial.info.finish == capi.BY_CALLER
    assert partial.text
    assert partial.lines
    library.crispvl_cancel_free(cancel)


def test_parts_beyond_the_last_are_refused(library: Library, model: LoadedModel) -> None:
    image, result, part = image_of(str(RECEIPT)), c_void_p(), capi.TextPart()
    params = library.params(max_tokens=40)
    library.call("recognize", model.handle, byref(image), byref(params), byref(result))
    for kind in ("line", "word"):
        for i in (1 << 20, 2**64 - 1):
            arguments = result, c_size_t(i), byref(part), c_size_t(sizeof(part))
            with pytest.raises(CapiError, match=r"\[result\]") as raised:
                library.call(f"result_get_{kind}", *arguments)
            assert raised.value.status == capi.ARGUMENT
    older = (ctypes.c_uint8 * sizeof(part))(*[9] * sizeof(part))
    size = capi.TextPart.confidence.offset
    library.call("result_get_line", result, c_size_t(0), byref(older), c_size_t(size))
    assert list(older[size:]) == [9] * (sizeof(part) - size)
    library.crispvl_result_free(result)
