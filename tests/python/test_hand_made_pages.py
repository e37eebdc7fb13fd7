"""Pages that callers make themselves are written like those that were read, or refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from crispvl import Document, Page, Word
from crispvl.results.formats import FORMATS
from crispvl.results.html_report import html_report
from crispvl.results.lines import Block, Line, Quad, Rectangle
from PIL import Image

from . import pdf_files
from .test_batch import document
from .test_searchable_pdf import texts_of

QUAD: Quad = ((20, 40), (290, 40), (290, 60), (20, 60))


def made(*lines: Line, blocks: tuple[Block, ...] = ()) -> Document:
    page = Page(
        number=1, width_px=300, height_px=200, layout="lines", placed_lines=lines, blocks=blocks
    )
    return Document(source="book.pdf", pages=(page,), n_pages=1)


def line(text: str, quad: Quad | None = QUAD, block: int = 0) -> Line:
    return Line(text=text, start=0, confidence=0.9, quad=quad, block=block)


def test_a_line_without_words_has_those_of_its_text() -> None:
    words = line("ab  cde f").words
    assert [(word.text, word.start, word.confidence) for word in words] == [
        ("ab", 0, 0.9), ("cde", 4, 0.9), ("f", 8, 0.9)
    ]  # fmt: skip
    assert [word.quad for word in words] == [
        ((20, 40), (80, 40), (80, 60), (20, 60)),
        ((140, 40), (230, 40), (230, 60), (140, 60)),
        ((260, 40), (290, 40), (290, 60), (260, 60)),
    ]
    rightmost, leftmost = line("שלום עולם").words
    assert rightmost.box is not None
    assert leftmost.box is not None
    assert leftmost.box.right < rightmost.box.left
    assert [word.quad for word in line("a b", None).words] == [None, None]
    assert line(" ").words == line("").words == ()


EVERY_SPACE = "".join(chr(i) for i in range(0x3001) if chr(i).isspace())


@pytest.mark.parametrize(
    "found",
    [
        made(line("Total due")),
        made(line("Total due", None)),
        made(line(""), line("Total due", None), line("Total due", ((5, 5),) * 4)),
        made(line("Total due", ((-90, -90), (-50, -90), (-50, -80), (-90, -80)))),
        made(line("Total due", ((9e6, 9e6), (9.1e6, 9e6), (9.1e6, 9.1e6), (9e6, 9.1e6)))),
        made(line("Total due", block=7), blocks=(Block(kind="text", box=Rectangle(0, 0, 9, 9)),)),
        made(line("Total due", block=-1), blocks=(Block(kind="text", box=Rectangle(0, 0, 9, 9)),)),
        made(line(f"Total{EVERY_SPACE}due")),
        made(line("Total due \0 \udc80")),
    ],
)
def test_every_format_holds_the_text_of_a_page_made_by_hand(found: Document) -> None:
    image = Image.new("L", (300, 200), 255)
    for name, form in FORMATS.items():
        if form.write is not None and name != "csv":
            written = form.write([found])
            assert "Total" in written, name
            assert "due" in written, name
    assert "Total" in html_report(found, [image])
    assert json.loads(found.to_jsonl())["words"][0][0] == "Total"


def test_lines_with_and_without_words_of_their_own_make_a_pdf(tmp_path: Path) -> None:
    pytest.importorskip("ocrmypdf", reason="the extra ocrmypdf is not installed")
    low: Quad = ((20, 90), (290, 90), (290, 110), (20, 110))
    other = Line(
        text="one two", start=0, confidence=1.0, quad=low,
        words=(Word(text="else", start=0, confidence=1.0, quad=low),),
    )  # fmt: skip
    flat: Quad = ((20, 150), (290, 150), (290, 150), (20, 150))
    found = made(line("Total due \udc80"), line(""), other, line("end", flat))
    source = pdf_files.pdf([Image.new("L", (300, 200), 255)])
    found.to_pdf(tmp_path / "out.pdf", source)
    assert texts_of(tmp_path / "out.pdf") == ["Total due ? one two end"]


def test_a_record_whose_line_has_no_words_is_laid_as_a_whole(tmp_path: Path) -> None:
    pytest.importorskip("ocrmypdf", reason="the extra ocrmypdf is not installed")
    from crispvl.integrations.placed_text import recorded_lines

    record = json.loads(made(line("Total due"), line("one two")).to_jsonl())
    record["words"] = record["words"][:1]
    assert [(text.text, text.words) for text in recorded_lines(record)] == [
        ("Total due", ()), ("one two", ())
    ]  # fmt: skip


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300])
def test_places_that_are_no_numbers_are_refused_where_they_are_made(bad: float) -> None:
    quad = ((bad, 0), (1, 0), (1, 1), (0, 1))
    for make in (line, lambda _, at: Word(text="a", start=0, confidence=1.0, quad=at)):
        with pytest.raises(ValueError, match=r"^\[(Line|Word)\] expected .*; found .*; "):
            make("a", quad)
    with pytest.raises(ValueError, match="four corners"):
        line("a", QUAD[:3])  # type: ignore[arg-type]


def test_a_confidence_that_is_no_number_is_refused() -> None:
    for make in (Line, Word):
        with pytest.raises(ValueError, match="confidence"):
            make(text="a", start=0, confidence=math.nan)


def test_pages_are_counted_from_1() -> None:
    with pytest.raises(ValueError, match=r"^\[Page\] expected .*; found 0; "):
        replace(document("Hello").pages[0], number=0)
