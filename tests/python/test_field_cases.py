"""Inputs after public reports of other tools' users, kept outside of the repository, are read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl import Document
from crispvl.cli import main
from crispvl.hub import bundled
from crispvl.inputs.video import video_frames

from .test_batch import document

pytestmark = pytest.mark.skipif(not bundled.path().is_file(), reason="no bundled model here")

RECEIPT = "CORNER SHOP\n12 May 2026\n2 Coffee 7.00\nTOTAL $20.15"
FAX = "CORNER SHOP\n12 May 2026\n2 Coffee 7.00\n1 Bagel 3.25\nTOTAL $20.15"
TEXTS = {
    "blank/magenta_on_green.png": RECEIPT,
    "blank/white_on_transp.png": RECEIPT,
    "pdf/i_form.pdf": f"{RECEIPT}\nVISA CARD",
    "pdf/i_tiny.pdf": RECEIPT,
    "pdf/nover.pdf": RECEIPT,
    "pdf/pdfmark.png": RECEIPT,
    "pdf/rtl_page.png": RECEIPT,
    "pdf/s_invis.pdf": RECEIPT,
    "pdf/strip1200.png": "TOTAL 20.15",
    "tiff/fax32.tif": FAX,
    "tiff/fax32_stretched.png": FAX,
    "tiff/g10in16.tif": RECEIPT,
    "tiff/g12in16.tif": RECEIPT,
    "tiff/pyr2.tif": RECEIPT,
}


@pytest.fixture
def cases(shared_dir: Path) -> Path:
    if not (shared_dir / "cases").is_dir():
        pytest.skip("no ../shared/cases: these inputs are not part of the repository")
    return shared_dir / "cases"


def test_the_folder_of_all_cases_is_read_in_one_run(cases: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert main(["recognize", str(cases), "--format", "jsonl", "-o", str(out)]) == 0
    records = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert all(record["number"] == 1 for record in records)
    assert all(record["flags"] == [] and record["error"] is None for record in records)
    found = {
        Path(record["source"]).relative_to(cases).as_posix(): without_empty_lines(record["text"])
        for record in records
    }
    assert len(records) == len(found)
    assert found == TEXTS


def without_empty_lines(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if line)


@pytest.mark.parametrize(
    ("name", "line", "top_pt"),
    [
        ("i_form.pdf", "VISA CARD", (274, 300)),
        ("s_invis.pdf", "TOTAL $20.15", (0, 1000)),
        ("strip1200.png", "TOTAL 20.15", (0, 1000)),
    ],
)
def test_a_searchable_pdf_has_each_line_where_it_was_read(
    cases: Path, tmp_path: Path, name: str, line: str, top_pt: tuple[int, int]
) -> None:
    pytest.importorskip("ocrmypdf")
    out = tmp_path / "out.pdf"
    assert main(["recognize", str(cases / "pdf" / name), "--format", "pdf", "-o", str(out)]) == 0
    top, bottom = place_of(line, out)
    assert top_pt[0] - 3 <= top < bottom <= top_pt[1] + 3


def place_of(line: str, path: Path) -> tuple[float, float]:
    """Returns how far a line is from the top of a PDF's page, in points: from and to."""
    pypdfium2 = pytest.importorskip("pypdfium2")
    with pypdfium2.PdfDocument(path) as pdf:
        page = pdf[0]
        held = page.get_textpage()
        found: Any = held.search(line).get_next()
        assert found is not None, held.get_text_bounded()
        _, bottom, _, top = held.get_charbox(found[0])
        return page.get_height() - top, page.get_height() - bottom


def test_lines_from_right_to_left_are_found_from_their_right_end_on(
    cases: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ocrmypdf")
    pypdfium2 = pytest.importorskip("pypdfium2")
    text = "שלום עולם\nחנות פינה\n12 קפה\nסך הכל 20"
    (page, *_) = document(text).pages
    out = tmp_path / "out.pdf"
    Document(source="page", pages=(replace(page, number=1),)).to_pdf(
        out, cases / "pdf" / "rtl_page.png"
    )
    with pypdfium2.PdfDocument(out) as pdf:
        held = pdf[0].get_textpage()
        lefts = [held.get_charbox(held.search(word).get_next()[0])[0] for word in ("שלום", "עולם")]
        assert held.search("שלום עולם").get_next() is not None
    assert lefts[0] > lefts[1]


def test_a_video_that_is_to_be_turned_shows_what_the_upright_one_shows(cases: Path) -> None:
    pytest.importorskip("av")
    (turned,), (upright,) = (video_frames(cases / f"video/{n}.mp4", 1) for n in ("rot", "up"))
    difference = np.asarray(turned).astype(int) - np.asarray(upright)
    assert np.abs(difference).mean() < 1
