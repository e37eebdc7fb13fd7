"""Searchable PDF files: the pages as they look, their text where its ink is."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl import CrispOCR, Document, Page
from crispvl.cli import main
from crispvl.errors import DocumentError, PasswordError
from crispvl.results.lines import Line, Word
from crispvl.results.text_lines import TextBox, find_lines, place_lines, place_words
from PIL import Image, ImageDraw
from PIL.TiffImagePlugin import IFDRational

from . import pdf_files
from .conftest import FakeModel
from .test_batch import document

Capture = pytest.CaptureFixture[str]


def page_with_lines(n_lines: int) -> Image.Image:
    """Returns a page of 800×640 px: a rule, and strokes in lines 80 px apart, one with a dot."""
    image = Image.new("L", (800, 640), 255)
    draw = ImageDraw.Draw(image)
    for i in range(n_lines):
        for x in range(40 + 20 * i, 397, 12):
            draw.rectangle((x, 80 + 80 * i, x + 3, 119 + 80 * i), fill=0)
    draw.rectangle((76, 68, 83, 73), fill=0)
    draw.line((40, 30, 400, 30), fill=0, width=4)  # a rule
    return image


def test_lines_of_ink_are_found_with_their_dots_and_without_rules() -> None:
    mask = np.asarray(page_with_lines(3)) == 0
    assert find_lines(mask) == [(40, 68, 392, 120), (60, 160, 400, 200), (80, 240, 396, 280)]
    assert find_lines(np.zeros((5, 5), bool)) == []


def test_as_many_lines_of_text_as_of_ink_belong_together() -> None:
    placed = place_lines("one\n\n two \nthree", page_with_lines(3))
    assert [line.text for line in placed] == ["one", "two", "three"]
    assert [(line.left, line.top) for line in placed] == [(40, 68), (60, 160), (80, 240)]


def test_other_numbers_of_lines_are_spread_over_the_ink() -> None:
    placed = place_lines("one\ntwo", page_with_lines(3))
    assert [(line.left, line.top, line.right, line.bottom) for line in placed] == [
        (40, 29, 401, 154.5), (40, 154.5, 401, 280)
    ]  # fmt: skip
    blank = place_lines("seen\nanyway", Image.new("L", (40, 20), 255))
    assert [(line.top, line.bottom) for line in blank] == [(0, 10), (10, 20)]
    assert place_lines(" \n", page_with_lines(1)) == []


def test_large_pages_have_their_lines_in_their_own_pixels() -> None:
    large = page_with_lines(2).resize((4000, 3200), Image.Resampling.NEAREST)
    first, second = place_lines("one\ntwo", large)
    assert first.left == pytest.approx(5 * 40, abs=5)
    assert second.bottom == pytest.approx(5 * 200, abs=5)


def test_words_share_a_lines_width_by_their_characters() -> None:
    words = place_words(TextBox("ab  ab c", 100, 0, 180, 10))
    assert [(word.text, word.left, word.right) for word in words] == [
        ("ab", 100, 120), ("ab", 140, 160), ("c", 170, 180)
    ]  # fmt: skip


def in_sight(text: str) -> list[str]:
    """Returns the words of a line from left to right."""
    words = place_words(TextBox(text, 0, 0, 10 * len(text), 10))
    assert [word.text for word in words] == text.split()
    assert min(word.left for word in words) >= 0
    assert max(word.right for word in words) <= 10 * len(text)
    assert sum(word.right - word.left for word in words) == 10 * len("".join(text.split()))
    return [word.text for word in sorted(words, key=lambda word: word.left)]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("one two 3", ["one", "two", "3"]),
        ("שלום עולם", ["עולם", "שלום"]),
        ("12 קפה", ["קפה", "12"]),
        ("סך הכל 20", ["20", "הכל", "סך"]),
        ("מס 12 34", ["34", "12", "מס"]),
        ("مرحبا بالعالم كله", ["كله", "بالعالم", "مرحبا"]),
        ("קפה Grand Hotel 5 טוב", ["טוב", "Grand", "Hotel", "5", "קפה"]),
        ("Total שלום עולם 20 EUR", ["Total", "20", "עולם", "שלום", "EUR"]),
        ("- שלום -", ["-", "שלום", "-"]),
        ("12 - 34", ["12", "-", "34"]),
    ],
)
def test_words_are_where_their_script_puts_them(text: str, seen: list[str]) -> None:
    assert in_sight(text) == seen


def test_a_pdf_needs_a_place_to_go_to(core: FakeModel, page: Path, capsys: Capture) -> None:
    assert main(["recognize", str(page), "-m", str(page), "--format", "pdf"]) == 2
    assert "-o OUT.pdf" in capsys.readouterr().err


def texts_of(pdf: Path) -> list[str]:
    import pypdfium2

    opened = pypdfium2.PdfDocument(pdf)
    texts = [page.get_textpage().get_text_range() for page in opened]
    opened.close()
    return [" ".join(text.split()) for text in texts]


@pytest.fixture
def ocrmypdf() -> None:
    found = pytest.importorskip("ocrmypdf", reason="the extra ocrmypdf is not installed")
    if int(found.__version__.split(".")[0]) < 17:
        pytest.skip("OCRmyPDF 17 or newer is needed")


@pytest.mark.usefixtures("ocrmypdf")
def test_a_pdf_looks_as_before_and_holds_its_text(core: FakeModel, tmp_path: Path) -> None:
    import pypdfium2

    core.answer = list("Total 12.50 €\nThank you".encode())
    pages = [page_with_lines(2), Image.new("L", (800, 640), 255), page_with_lines(2)]
    source = tmp_path / "book.pdf"
    source.write_bytes(pdf_files.pdf(pages))
    model = tmp_path / "model.gguf"
    model.touch()
    found = CrispOCR(model).recognize(source, dpi=72)
    out = tmp_path / "out.pdf"
    found.to_pdf(out)
    assert texts_of(out) == ["Total 12.50 € Thank you", "", "Total 12.50 € Thank you"]

    before, after = pypdfium2.PdfDocument(source), pypdfium2.PdfDocument(out)
    for i in range(3):
        pictures = [np.asarray(pdf[i].render().to_pil()) for pdf in (before, after)]
        assert np.array_equal(*pictures)  # the text is invisible
    text_page = after[0].get_textpage()
    left, bottom, right, top = text_page.get_charbox(0)  # T, in points from the lower left
    assert 38 <= left < right <= 392
    assert 640 - 122 <= bottom < top <= 640 - 66
    for pdf in (before, after):
        pdf.close()


@pytest.mark.usefixtures("ocrmypdf")
@pytest.mark.parametrize("crop", [(100, 50, 900, 690), (900, 690, 100, 50), None])
def test_the_text_of_a_page_that_is_shown_in_part_is_where_it_was_read(
    tmp_path: Path, crop: tuple[int, ...] | None
) -> None:
    pikepdf, pypdfium2 = pytest.importorskip("pikepdf"), pytest.importorskip("pypdfium2")
    source, out = tmp_path / "book.pdf", tmp_path / "out.pdf"
    with pikepdf.open(io.BytesIO(pdf_files.pdf([Image.new("L", (900, 690), 255)]))) as pdf:
        if crop is not None:
            pdf.pages[0].cropbox = list(crop)
        pdf.save(source)
    left, top = (0, 0) if crop is None else (100, 0)  # of what is shown
    quad = ((140 - left, 80 - top), (340 - left, 80 - top), (340 - left, 110), (140 - left, 110))
    words = (Word(text="Total", start=0, confidence=1.0, quad=quad),)
    line = Line(text="Total", start=0, confidence=1.0, words=words, quad=quad)
    size = {"width_px": 900 - left, "height_px": 690 if crop is None else 640}
    page = replace(document("Total").pages[0], layout="lines", placed_lines=(line,), **size)
    Document(source=str(source), pages=(page,)).to_pdf(out)
    with pikepdf.open(source) as before, pikepdf.open(out) as after:
        for box in ("/MediaBox", "/CropBox"):
            boxes = [pdf.pages[0].obj.get(box) for pdf in (before, after)]
            if boxes[0] is not None:
                assert sorted(map(int, boxes[0])) == sorted(map(int, boxes[1]))
    opened = pypdfium2.PdfDocument(out)
    text_page = opened[0].get_textpage()
    boxes = [text_page.get_charbox(i) for i in range(5)]
    opened.close()
    assert 138 <= boxes[0][0] < boxes[-1][2] <= 342
    assert all(690 - 112 <= bottom < top <= 690 - 78 for _, bottom, _, top in boxes)


@pytest.mark.usefixtures("ocrmypdf")
def test_standard_error_is_the_callers_after_a_pdf_was_written(tmp_path: Path) -> None:
    source, before = tmp_path / "book.pdf", sys.stderr
    source.write_bytes(pdf_files.pdf([page_with_lines(1)]))
    document("Hello").to_pdf(tmp_path / "out.pdf", source)
    assert sys.stderr is before


@pytest.mark.usefixtures("ocrmypdf")
def test_a_pdf_is_written_without_threads_that_an_interrupt_could_leave_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    source = tmp_path / "book.pdf"
    source.write_bytes(pdf_files.pdf([page_with_lines(1), page_with_lines(2)]))
    document("Hello").to_pdf(tmp_path / "out.pdf", source)
    assert started == []


@pytest.mark.usefixtures("ocrmypdf")
def test_pages_that_failed_and_documents_without_text_come_through(tmp_path: Path) -> None:
    source = tmp_path / "book.pdf"
    source.write_bytes(pdf_files.pdf([page_with_lines(1), page_with_lines(1), None]))
    out = tmp_path / "out.pdf"
    document("Hello").to_pdf(out, source)
    assert texts_of(out)[0] == "Hello"
    nothing = Document(source="", pages=(Page(number=1, blank=True),))
    nothing.to_pdf(out, source.read_bytes())
    assert texts_of(out)[0] == ""
    with pytest.raises(FileNotFoundError):
        document("Hello").to_pdf(out, tmp_path / "nowhere.pdf")
    with pytest.raises(DocumentError):
        document("Hello").to_pdf(out, b"%PDF-1.4 nothing")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


@pytest.mark.usefixtures("ocrmypdf")
@pytest.mark.parametrize("part", [0.3, 0.6, 0.97])
def test_a_pdf_that_was_cut_off_since_it_was_read_is_refused_in_words(
    part: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The library beneath finds some pages in it, and complains to the terminal."""
    whole = io.BytesIO()
    pages = [page_with_lines(n) for n in (1, 2, 3)]
    pages[0].save(whole, "PDF", save_all=True, append_images=pages[1:])
    data = whole.getvalue()
    source = tmp_path / "book.pdf"
    for given in (io.BytesIO(data[: int(len(data) * part)]), source):
        source.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(DocumentError, match=r"\[.*pdf\] expected a complete PDF") as failure:
            document("Hello").to_pdf(tmp_path / "out.pdf", given)
        assert "stream <" not in str(failure.value)
    assert capfd.readouterr().err == ""
    assert not (tmp_path / "out.pdf").exists()


@pytest.mark.usefixtures("ocrmypdf")
def test_a_source_that_lacks_a_page_that_was_read_is_refused(tmp_path: Path) -> None:
    (read, *_) = document("Hello").pages
    book = Document(source="book.pdf", pages=(read, replace(read, number=2)))
    source = pdf_files.pdf([page_with_lines(1)])
    with pytest.raises(DocumentError, match=r"\[pdf\] expected page 2, which was read; found"):
        book.to_pdf(tmp_path / "out.pdf", source)


@pytest.mark.usefixtures("ocrmypdf")
def test_images_and_encrypted_documents_become_searchable_too(
    core: FakeModel, page: Path, tmp_path: Path
) -> None:
    frames = tmp_path / "frames.tiff"
    page_with_lines(1).save(frames, save_all=True, append_images=[page_with_lines(2)])
    assert main(["recognize", "-m", str(page), str(frames), "--format", "pdf", "-o",
                 str(tmp_path / "frames.pdf")]) == 0  # fmt: skip
    assert texts_of(tmp_path / "frames.pdf") == ["Hello", "Hello"]

    secret = pdf_files.pdf([Image.new("L", (800, 640), 255)], password="sesame")
    with pytest.raises(PasswordError):
        document("Hello").to_pdf(tmp_path / "out.pdf", secret, "other")
    document("Hello").to_pdf(tmp_path / "out.pdf", secret, "sesame")
    assert texts_of(tmp_path / "out.pdf") == ["Hello"]


FONT = b"/Font<</T<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>"


def with_text(text: bytes, mode: int = 0) -> bytes:
    """Returns a page that holds a text, drawn in a mode: 0 is visible, 3 is not."""
    content = b"q 800 0 0 640 0 0 cm /I Do Q BT /T 12 Tf %d Tr 9 9 Td (%s) Tj ET" % (mode, text)
    data = pdf_files.one_page(page_with_lines(1), (800, 640), content)
    assert data.count(b"/Resources<</XObject") == 2
    return data.replace(b"/Resources<<", b"/Resources<<" + FONT)


@pytest.mark.usefixtures("ocrmypdf")
@pytest.mark.parametrize("mode", [0, 3])
@pytest.mark.parametrize("text", [b"x", b"000123", b" "])
def test_stray_text_does_not_keep_the_text_from_a_page(
    text: bytes, mode: int, tmp_path: Path
) -> None:
    out = tmp_path / "out.pdf"
    assert document("Hello there, this is a line of text").to_pdf(out, with_text(text, mode)) == ()
    assert "Hello there, this is a line of text" in texts_of(out)[0]


@pytest.mark.usefixtures("ocrmypdf")
def test_a_page_that_holds_its_text_keeps_it_and_that_is_said(
    core: FakeModel, page: Path, tmp_path: Path, capsys: Capture
) -> None:
    source, out = tmp_path / "book.pdf", tmp_path / "out.pdf"
    source.write_bytes(with_text(b"What it says"))
    assert document("Whet it says").to_pdf(out, source) == (1,)
    assert texts_of(out) == ["What it says"]
    arguments = ["recognize", "-m", str(page), str(source), "--format", "pdf", "-o", str(out)]
    assert main(arguments) == 0
    assert "text is there already and is kept, on page 1" in capsys.readouterr().err


@pytest.mark.usefixtures("ocrmypdf")
def test_lines_of_a_form_are_put_on_its_fields(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import pypdfium2

    content = b"40 560 300 40 re f"
    source = pdf_files.form(
        Image.new("L", (8, 8), 255), (800, 640), content, field=(40, 100, 340, 140)
    )
    out = tmp_path / "out.pdf"
    document("printed\nfilled in").to_pdf(out, source)
    assert not caplog.records, "OCRmyPDF's advice about its own options"
    opened = pypdfium2.PdfDocument(out)
    search = opened[0].get_textpage().search("filled")
    at, _ = search.get_next()
    left, bottom, right, top = opened[0].get_textpage().get_charbox(at)
    opened.close()
    assert 38 <= left < right <= 342
    assert 95 <= bottom < top <= 145


@pytest.mark.usefixtures("ocrmypdf")
@pytest.mark.parametrize(
    ("size", "dpi"), [((360, 40), 1200), ((40, 360), 1200), ((16, 16), 1200), ((16, 3000), 100)]
)
def test_small_images_make_pages_as_small_as_a_pdf_may_have(
    size: tuple[int, int], dpi: int, tmp_path: Path
) -> None:
    image, out = tmp_path / "strip.png", tmp_path / "out.pdf"
    Image.new("L", size, 255).save(image, dpi=(dpi, dpi))
    document("Hi").to_pdf(out, image)
    assert texts_of(out) == ["Hi"]


@pytest.mark.usefixtures("ocrmypdf")
def test_what_no_page_can_be_made_of_is_a_document_error(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"^\[.*\] expected .*; found .*; "):
        document("Hi").to_pdf(tmp_path / "out.pdf", Image.new("L", (1, 30_000), 255))


@pytest.mark.usefixtures("ocrmypdf")
def test_a_signed_pdf_is_told_to_be_one(tmp_path: Path) -> None:
    pikepdf = pytest.importorskip("pikepdf")
    source = tmp_path / "signed.pdf"
    with pikepdf.open(io.BytesIO(pdf_files.pdf([page_with_lines(1)]))) as pdf:
        pdf.Root.AcroForm = pikepdf.Dictionary(Fields=[], SigFlags=3)
        pdf.save(source)
    with pytest.raises(DocumentError, match=r"digital signature.*; use a copy without") as refused:
        document("Hi").to_pdf(tmp_path / "out.pdf", source)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("ocrmypdf")
def test_emoji_and_other_characters_beyond_the_first_65536_are_there(tmp_path: Path) -> None:
    text = "ok 😀 👍🏽 x 𝒳𐍈 𠮷 ✅ é"
    document(text).to_pdf(tmp_path / "out.pdf", page_with_lines(1))
    assert texts_of(tmp_path / "out.pdf") == [text]


@pytest.mark.usefixtures("ocrmypdf")
def test_a_line_from_right_to_left_is_found(tmp_path: Path) -> None:
    import pypdfium2

    out = tmp_path / "out.pdf"
    document("שלום עולם\n12 קפה").to_pdf(out, page_with_lines(2))
    assert texts_of(out) == ["שלום עולם 12 קפה"]
    opened = pypdfium2.PdfDocument(out)
    text = opened[0].get_textpage()
    first, second = (text.search(word).get_next()[0] for word in ("שלום", "עולם"))
    assert text.get_charbox(first)[0] > text.get_charbox(second)[2]
    opened.close()


@pytest.mark.usefixtures("ocrmypdf")
def test_numbers_within_words_from_right_to_left_are_not_mirrored(tmp_path: Path) -> None:
    import pypdfium2

    out = tmp_path / "out.pdf"
    lines = {"קפה-20": "20", "2026-ב": "2026", "ב12:30": "12:30", "שלוםabc": "abc", "ס7.5": "7.5"}
    document("\n".join(lines)).to_pdf(out, page_with_lines(len(lines)))
    opened = pypdfium2.PdfDocument(out)
    text = opened[0].get_textpage()
    assert [word for word in lines.values() if text.search(word).get_next() is None] == []
    opened.close()


@pytest.mark.usefixtures("ocrmypdf")
def test_a_file_opened_for_text_is_a_type_error(tmp_path: Path) -> None:
    scan = tmp_path / "scan.png"
    page_with_lines(1).save(scan)
    with scan.open(encoding="utf-8") as file, pytest.raises(TypeError, match="mode 'rb'"):
        document("one").to_pdf(tmp_path / "out.pdf", file)


@pytest.mark.usefixtures("ocrmypdf")
def test_the_command_ocrmypdf_takes_recorded_pages(tmp_path: Path) -> None:
    source, out = tmp_path / "book.pdf", tmp_path / "out.pdf"
    source.write_bytes(pdf_files.pdf([page_with_lines(2), page_with_lines(1)]))
    records = tmp_path / "book.jsonl"
    lines = [{"number": 1, "text": "one\ntwo"}, {"number": 2, "text": "three"}]
    records.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = subprocess.run(
        [sys.executable, "-m", "ocrmypdf", "--plugin", "crispvl.integrations.ocrmypdf",
         "--crispvl-records", str(records), "--output-type", "pdf", str(source), str(out)],
        capture_output=True, text=True, check=False, env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr  # without PATH, so without Tesseract
    assert texts_of(out) == ["one two", "three"]


def lay_records(
    tmp_path: Path, source: Path, lines: list[dict[str, object]]
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Runs ``ocrmypdf`` on a PDF with records; returns what became of it."""
    records, out = tmp_path / "all.jsonl", tmp_path / "out.pdf"
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    records.write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ocrmypdf", "--plugin", "crispvl.integrations.ocrmypdf",
         "--crispvl-records", str(records), "--output-type", "pdf", str(source), str(out)],
        capture_output=True, text=True, check=False, env={"PYTHONPATH": ":".join(sys.path)},
        cwd=tmp_path,
    )  # fmt: skip
    return done, out


@pytest.mark.usefixtures("ocrmypdf")
@pytest.mark.parametrize("is_placed", [True, False])
@pytest.mark.parametrize("is_inherited", [True, False])
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_recorded_lines_of_a_page_that_is_cropped_and_turned_are_on_their_ink(
    tmp_path: Path, rotate: int, is_inherited: bool, is_placed: bool
) -> None:
    ocrmypdf, pikepdf = pytest.importorskip("ocrmypdf"), pytest.importorskip("pikepdf")
    pypdfium2 = pytest.importorskip("pypdfium2")
    source, records, out = (tmp_path / name for name in ("book.pdf", "all.jsonl", "out.pdf"))
    picture = Image.new("L", (900, 690), 255)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((20, 10, 60, 30), fill=0)  # not shown
    upright = 200, 300, 400, 330  # of the picture as it is looked at
    width, height = (900, 690) if rotate % 180 == 0 else (690, 900)
    seen = Image.new("L", (width, height), 255)
    ImageDraw.Draw(seen).rectangle(upright, fill=0)
    ink = seen.rotate(rotate, expand=True)
    picture.paste(ink, (0, 0), ink.point(lambda value: 255 - value))
    crop = [100, 40, 880, 640]  # of the page as it is in the file, from its lower left
    with pikepdf.open(io.BytesIO(pdf_files.pdf([picture]))) as pdf:
        page = pdf.pages[0].obj
        owner = pdf.Root.Pages if is_inherited else page
        owner.MediaBox, owner.CropBox, owner.Rotate = [0, 0, 900, 690], crop, rotate
        if is_inherited:
            del page["/MediaBox"]
        pdf.save(source)
    in_file = (100, 50, 20, 40)  # what is not shown at the left, top, right, bottom
    margins = np.roll(in_file, rotate // 90).tolist()
    left, top = upright[0] - margins[0], upright[1] - margins[1]
    corners = [[left, top], [left + 200, top], [left + 200, top + 30], [left, top + 30]]
    record: dict[str, Any] = {"number": 1, "text": "Total"}
    if is_placed:
        record["width_px"] = width - margins[0] - margins[2]
        record["lines"] = [{"text": "Total", "quad": corners}]
        record["words"] = [["Total", 1.0, [left, top, left + 200, top + 30]]]
    records.write_text(json.dumps(record))
    ocrmypdf.ocr(source, out, plugins=["crispvl.integrations.ocrmypdf"], output_type="pdf",
                 crispvl_records=str(records), progress_bar=False)  # fmt: skip
    opened = pypdfium2.PdfDocument(out)
    text_page = opened[0].get_textpage()
    assert text_page.get_text_range().strip() == "Total"
    boxes = [text_page.get_charbox(i) for i in range(5)]
    opened.close()
    where = picture.point(lambda value: 255 * (value < 128))
    draw = ImageDraw.Draw(where)
    draw.rectangle((20, 10, 60, 30), fill=0)
    x0, y0, x1, y1 = where.getbbox() or (0, 0, 0, 0)
    assert all(x0 - 2 <= box[0] < box[2] <= x1 + 2 for box in boxes)
    assert all(690 - y1 - 2 <= box[1] < box[3] <= 690 - y0 + 2 for box in boxes)


@pytest.mark.usefixtures("ocrmypdf")
def test_records_of_other_documents_are_not_laid_on_the_page(tmp_path: Path) -> None:
    source = tmp_path / "book.pdf"
    source.write_bytes(pdf_files.pdf([page_with_lines(1), page_with_lines(1)]))
    mine = {"source": "book.pdf", "number": 1, "text": "mine", "error": None}
    other = {"source": "other.pdf", "number": 1, "text": "other", "error": None}
    done, out = lay_records(tmp_path, source, [mine, other, {**other, "number": 2}])
    assert done.returncode == 0, done.stderr
    assert texts_of(out) == ["mine", ""]
    assert "no text of page 2" in done.stderr
    out.unlink()
    done, out = lay_records(tmp_path, source, [other, {**other, "source": "third.pdf"}])
    assert done.returncode == 1
    assert "[--crispvl-records]" in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


@pytest.mark.usefixtures("ocrmypdf")
def test_records_of_a_document_whose_name_is_no_utf8_are_found(tmp_path: Path) -> None:
    source = tmp_path / os.fsdecode(b"caf\xe9.pdf")
    try:
        source.write_bytes(pdf_files.pdf([page_with_lines(1)]))
    except OSError:
        pytest.skip("names are UTF-8 on this file system")
    mine = {"source": r"caf\udce9.pdf", "number": 1, "text": "mine", "error": None}
    done, out = lay_records(tmp_path, source, [mine, {**mine, "source": "other.pdf"}])
    assert done.returncode == 0, done.stderr
    assert texts_of(out) == ["mine"]


@pytest.mark.usefixtures("ocrmypdf")
def test_a_text_may_hold_unicodes_own_line_breaks(tmp_path: Path) -> None:
    source = tmp_path / "book.pdf"
    source.write_bytes(pdf_files.pdf([page_with_lines(1)]))
    for mark in "\u2028\u0085":
        document(f"one{mark}two").to_pdf(tmp_path / "out.pdf", source)
        assert "one" in texts_of(tmp_path / "out.pdf")[0]


@pytest.mark.usefixtures("ocrmypdf")
@pytest.mark.parametrize(
    ("dpi", "expected"),
    [((300, 300), 300), ((400, 400), 400), (None, 200), ((72, 72), 200), (IFDRational(0, 0), 200)],
)
def test_images_become_pages_of_their_own_resolution(
    dpi: tuple[int, int] | IFDRational | None, expected: int, tmp_path: Path
) -> None:
    import pypdfium2

    source, out = tmp_path / "page.tif", tmp_path / "out.pdf"
    frames = [page_with_lines(1), page_with_lines(2)]
    told: dict[str, Any] = {} if dpi is None else {"dpi": dpi}
    if isinstance(dpi, IFDRational):
        told = {"tiffinfo": {282: dpi, 283: dpi, 296: 2}}  # x, y, inches
    frames[0].save(source, save_all=True, append_images=frames[1:], **told)
    document("Hello").to_pdf(out, source)
    opened = pypdfium2.PdfDocument(out)
    sizes_in = [(page.get_width() / 72, page.get_height() / 72) for page in opened]
    opened.close()
    assert sizes_in == [pytest.approx((800 / expected, 640 / expected), rel=1e-3)] * 2


def test_what_lies_on_the_web_makes_no_pdf_by_its_address(tmp_path: Path) -> None:
    found = Document(source="https://example.org/a.png", pages=(Page(number=1, blank=True),))
    pytest.importorskip("ocrmypdf", reason="the extra ocrmypdf is not installed")
    with pytest.raises(ValueError, match="web address"):
        found.to_pdf(tmp_path / "out.pdf")
