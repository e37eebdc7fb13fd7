"""Inputs after public reports of other tools' users, kept outside of the repository, are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from crispvl import CrispOCR
from crispvl.hub import bundled
from crispvl.inputs.video import video_frames

pytestmark = pytest.mark.skipif(not bundled.path().is_file(), reason="no bundled model here")

RECEIPT = "CORNER SHOP\n12 May 2026\n2 Coffee 7.00\nTOTAL $20.15"
FAX = "CORNER SHOP\n12 May 2026\n2 Coffee 7.00\n1 Bagel 3.25\nTOTAL $20.15"


@pytest.fixture(scope="module")
def ocr() -> Iterator[CrispOCR]:
    with CrispOCR() as reader:
        yield reader


@pytest.fixture
def cases(shared_dir: Path) -> Path:
    if not (shared_dir / "cases").is_dir():
        pytest.skip("no ../shared/cases: these inputs are not part of the repository")
    return shared_dir / "cases"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("blank/magenta_on_green.png", RECEIPT),
        ("blank/white_on_transp.png", RECEIPT),
        ("tiff/g12in16.tif", RECEIPT),
        ("tiff/g10in16.tif", RECEIPT),
        ("tiff/pyr2.tif", RECEIPT),
        ("tiff/fax32.tif", FAX),
        ("tiff/fax32_stretched.png", FAX),
        ("pdf/nover.pdf", RECEIPT),
        ("pdf/pdfmark.png", RECEIPT),
        ("pdf/i_tiny.pdf", RECEIPT),
    ],
)
def test_a_case_is_read_to_its_last_character(
    ocr: CrispOCR, cases: Path, name: str, text: str
) -> None:
    document = ocr.recognize(cases / name)
    lines = [line for line in document.text.split("\n") if line]  # without those between blocks
    assert "\n".join(lines) == text
    assert len(document.pages) == 1


def test_a_video_that_is_to_be_turned_shows_what_the_upright_one_shows(cases: Path) -> None:
    pytest.importorskip("av")
    (turned,), (upright,) = (video_frames(cases / f"video/{n}.mp4", 1) for n in ("rot", "up"))
    difference = np.asarray(turned).astype(int) - np.asarray(upright)
    assert np.abs(difference).mean() < 1
