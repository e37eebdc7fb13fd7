"""hOCR, ALTO, TSV and searchable PDF put every line and word where it was read."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from crispvl import CrispOCR
from crispvl.cli import main
from crispvl.results.alto import NAMESPACE, to_alto
from crispvl.results.document import Document, Page
from crispvl.results.generation import Generation, Timings
from crispvl.results.hocr import to_hocr
from crispvl.results.tsv import COLUMNS, to_tsv
from lxml import etree
from PIL import Image
from rendered import RenderedPage, mean_iou

SCHEMA = Path(__file__).parent / "alto4.xsd"
TURNS = {0: None, 90: Image.Transpose.ROTATE_90, 270: Image.Transpose.ROTATE_270}


@pytest.fixture(scope="module")
def page() -> RenderedPage:
    page = RenderedPage(width_mm=130, height_mm=90, dpi=150)
    page.column(20, 30, 80, n_lines=3)
    page.column(20, 60, 80, n_lines=2, first=7)
    return page


@pytest.fixture(scope="module")
def read(page: RenderedPage) -> Document:
    with CrispOCR(threads=1) as ocr:
        return ocr.recognize(page.pixels, layout="lines")


@pytest.fixture(scope="module")
def askew(page: RenderedPage) -> Document:
    with CrispOCR(threads=1) as ocr:
        turned = page.image.rotate(4, expand=True, fillcolor=255, resample=Image.Resampling.BICUBIC)
        return ocr.recognize(turned, layout="lines")


def _unplaced() -> Document:
    """Read as a whole page: there is text, and no place of it. With what XML cannot hold."""
    text = 'a <b> & "c"\nd\x01e'
    generation = Generation(
        ids=[1, 2], logprobs=[-0.1, -0.2], pieces=[text[:6], text[6:]], text=text,
        finish_reason="stop", timings=Timings(), n_prompt_tokens=1,
    )  # fmt: skip
    page = Page(number=3, width_px=200, height_px=100, generation=generation)
    return Document(source='sc"an.png', pages=(page,), n_pages=1)


def test_alto_follows_its_schema(read: Document, askew: Document) -> None:
    schema = etree.XMLSchema(etree.parse(SCHEMA))
    for documents in ([read], [askew], [_unplaced()], [read, askew], [Document(source="none.png")]):
        parsed = etree.fromstring(to_alto(documents).encode())
        has_pages = any(document.pages for document in documents)
        assert schema.validate(parsed) is has_pages, schema.error_log


def test_alto_holds_every_word_with_its_box(read: Document, page: RenderedPage) -> None:
    strings = etree.fromstring(read.to_alto().encode()).iter(f"{{{NAMESPACE}}}String")
    words = [(s.get("CONTENT"), [float(s.get(k)) for k in _PLACE]) for s in strings]
    assert [text for text, _ in words] == [word.text for word in read.pages[0].words]
    boxes = [(left, top, left + width, top + height) for _, (left, top, width, height) in words]
    assert mean_iou(page.words, boxes) > 0.8


_PLACE = ("HPOS", "VPOS", "WIDTH", "HEIGHT")


def test_hocr_holds_every_word_with_its_box(read: Document, page: RenderedPage) -> None:
    parsed = etree.fromstring(read.to_hocr().encode())
    words = parsed.xpath("//*[@class='ocrx_word']")
    assert [word.text for word in words] == [word.text for word in read.pages[0].words]
    found = [
        re.match(r"bbox (\d+) (\d+) (\d+) (\d+); x_wconf (\d+)$", w.get("title")) for w in words
    ]
    boxes = [tuple(map(float, match.groups()[:4])) for match in found if match]
    assert mean_iou(page.words, boxes) > 0.8  # type: ignore[arg-type]
    assert len(parsed.xpath("//*[@class='ocr_line']")) == len(page.lines)
    assert len(set(parsed.xpath("//@id"))) == len(parsed.xpath("//@id"))


def test_hocr_tells_how_lines_are_turned(askew: Document) -> None:
    (first, *_) = etree.fromstring(askew.to_hocr().encode()).xpath("//*[@class='ocr_line']")
    assert re.search(r"; poly( \d+){8}; textangle 4$", first.get("title"))


def test_tsv_has_the_columns_of_tesseract(read: Document) -> None:
    rows = list(csv.reader(io.StringIO(read.to_tsv()), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert tuple(rows[0]) == COLUMNS
    words = [row for row in rows[1:] if row[0] == "5"]
    assert [row[-1] for row in words] == [word.text for word in read.pages[0].words]
    assert {len(row) for row in rows} == {12}
    assert all(0 <= float(row[10]) <= 100 for row in words)
    assert {row[10] for row in rows[1:] if row[0] != "5"} == {"-1"}


def test_text_without_places_has_the_box_of_its_page() -> None:
    document = _unplaced()
    strings = etree.fromstring(document.to_alto().encode()).iter(f"{{{NAMESPACE}}}String")
    assert {tuple(s.get(k) for k in _PLACE) for s in strings} == {("0.0", "0.0", "200.0", "100.0")}
    assert "bbox 0 0 200 100; x_wconf" in document.to_hocr()
    assert etree.fromstring(document.to_hocr().encode()) is not None
    assert "\x01" not in document.to_tsv() + document.to_hocr() + document.to_alto()


def test_pages_of_several_documents_are_counted_on(read: Document) -> None:
    both = [read, read]
    parsed = etree.fromstring(to_hocr(both).encode())
    assert parsed.xpath("//*[@class='ocr_page']/@id") == ["page_1", "page_2"]
    numbers = [line.split("\t")[1] for line in to_tsv(both).splitlines()[1:]]
    assert sorted(set(numbers)) == ["1", "2"]


def test_several_formats_are_written_at_once(
    page: RenderedPage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = tmp_path / "scan.png"
    page.image.save(scan)
    command = ["recognize", str(scan), "--layout", "lines", "--threads", "1"]
    assert main([*command, "--format", "hocr,tsv,text", "-o", str(tmp_path / "out")]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "scan.png", "out.hocr", "out.tsv", "out.txt",
    }  # fmt: skip
    assert main([*command, "--format", "hocr,alto", "-o", f"{tmp_path}/made/"]) == 0
    made = {path.name for path in (tmp_path / "made").iterdir()}
    assert made >= {"scan.hocr", "scan.xml"}
    assert main([*command, "--format", "hocr,tsv"]) == 2
    assert "expected -o OUT or -o FOLDER/ for several formats" in capsys.readouterr().err


def test_an_unknown_format_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recognize", "scan.png", "--format", "hocr,docx"]) == 2
    assert "found 'docx'" in capsys.readouterr().err


@pytest.mark.parametrize("turn", [0, 90, 270, 4])
def test_a_search_in_the_pdf_highlights_the_ink(
    page: RenderedPage, turn: int, tmp_path: Path
) -> None:
    pytest.importorskip("ocrmypdf")
    pdfium = pytest.importorskip("pypdfium2")
    transpose = TURNS.get(turn)
    image = page.image if transpose is None else page.image.transpose(transpose)
    if turn == 4:
        image = page.image.rotate(4, expand=True, fillcolor=255)
    with CrispOCR(threads=1) as ocr:
        document = ocr.recognize(image, layout="lines")
    document.to_pdf(tmp_path / "out.pdf", image)
    opened = pdfium.PdfDocument(tmp_path / "out.pdf")[0]
    scale = image.width / opened.get_width()
    text, ink = opened.get_textpage(), np.asarray(image) < 128
    n_found = n_words = 0
    for word in {word.text for word in document.pages[0].words if len(word.text) > 4}:
        n_words += 1
        match = text.search(word).get_next()
        if match is None:
            continue
        boxes = [text.get_charbox(i) for i in range(match[0], match[0] + match[1])]
        left, bottom, right, top = (
            f(b[i] for b in boxes) for i, f in enumerate((min, min, max, max))
        )
        area = ink[
            round(image.height - top * scale) : round(image.height - bottom * scale),
            round(left * scale) : round(right * scale),
        ]
        n_found += area.size > 0 and 0.05 < float(area.mean()) < 0.6
    assert n_found >= 0.9 * n_words > 3
