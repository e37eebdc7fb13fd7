"""A page read by its lines, with the bundled model: text, places, limits, and what stops it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from crispvl import CrispOCR, GenerateOptions, ReadOptions
from crispvl._core import CancelToken
from crispvl.errors import Cancelled
from crispvl.events import LinesFound, PageDone, PageStarted, TextRead, TilesEncoded
from crispvl.results.document import Document
from PIL import Image, ImageDraw, ImageFont
from rendered import RenderedPage, mean_iou

TEXT = re.compile(r"\S+")


@pytest.fixture(scope="module")
def ocr() -> Iterator[CrispOCR]:
    with CrispOCR(threads=1) as reader:
        yield reader


@pytest.fixture(scope="module")
def letter() -> RenderedPage:
    page = RenderedPage(height_mm=120, dpi=150)
    page.column(25, 30, 100, n_lines=4)
    page.column(25, 65, 100, n_lines=3, first=9)
    return page


@pytest.fixture(scope="module")
def read(ocr: CrispOCR, letter: RenderedPage) -> Document:
    return ocr.recognize(letter.pixels, layout="lines")


def _errors(truth: str, found: str) -> float:
    """Character errors by Levenshtein's distance, as a share of the truth."""
    row = np.arange(len(found) + 1)
    for i, wanted in enumerate(truth, start=1):
        before, row = row, np.empty_like(row)
        row[0] = i
        for j, got in enumerate(found, start=1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (wanted != got))
    return float(row[-1]) / len(truth)


def test_a_page_is_read_line_by_line(read: Document, letter: RenderedPage) -> None:
    text = "\n".join(line for line in read.text.split("\n") if line)
    assert _errors("\n".join(letter.texts), text) < 0.02
    assert len(read.pages[0].lines) == len(letter.texts)


def test_every_line_and_word_has_its_place(read: Document, letter: RenderedPage) -> None:
    page = read.pages[0]
    lines = [line.box for line in page.lines if line.box is not None]
    words = [word.box for word in page.words if word.box is not None]
    assert mean_iou(letter.lines, lines) > 0.85
    assert mean_iou(letter.words, words) > 0.8


def test_lines_and_words_are_found_in_the_text_where_they_say(read: Document) -> None:
    page = read.pages[0]
    for part in (*page.lines, *page.words):
        assert page.text[part.start : part.start + len(part.text)] == part.text
        assert 0 < part.confidence <= 1
    assert [word.text for word in page.words] == TEXT.findall(page.text)


def test_a_page_says_how_it_was_read(read: Document) -> None:
    page = read.pages[0]
    assert page.layout == "lines"
    assert (page.finish_reason, page.flags) == ("stop", ())
    assert page.n_tiles > 1
    assert page.generation is not None
    assert page.generation.text == page.text
    assert len(page.generation.ids) == len(page.generation.logprobs) > len(page.text) * 0.9
    record = page.to_dict()
    assert record["lines"][0]["box"] == list(page.lines[0].box or ())
    assert record["words"][0][2] == list(page.words[0].box or ())


def test_text_comes_in_order_between_the_events_of_its_page(
    ocr: CrispOCR, letter: RenderedPage, read: Document
) -> None:
    told: list[object] = []
    ocr.recognize(letter.pixels, layout="lines", on_event=told.append)
    kinds = [type(event) for event in told]
    assert (kinds[0], kinds[-1]) == (PageStarted, PageDone)
    assert TilesEncoded in kinds
    texts = [event for event in told if isinstance(event, TextRead)]
    assert len(texts) > 1
    assert "".join(event.text for event in texts) == read.text
    assert texts[-1].n_tokens == len(read.pages[0].generation.ids)  # type: ignore[union-attr]


def test_two_runs_give_the_same(ocr: CrispOCR, letter: RenderedPage, read: Document) -> None:
    again = ocr.recognize(letter.pixels, layout="lines")
    assert again.text == read.text
    assert again.pages[0].lines == read.pages[0].lines


def test_a_page_stops_after_the_most_tokens(ocr: CrispOCR, letter: RenderedPage) -> None:
    document = ocr.recognize(letter.pixels, layout="lines", max_tokens=60)
    assert document.finish_reason == "length"
    assert "truncated" in document.flags
    assert 0 < len(document.text) <= 60
    assert letter.texts[0].startswith(document.text.split("\n")[0][:10])


@pytest.mark.parametrize("most", [1, 5, 31, 60])
def test_a_page_that_is_cut_keeps_the_words_that_fit(
    ocr: CrispOCR, letter: RenderedPage, read: Document, most: int
) -> None:
    told: list[object] = []
    document = ocr.recognize(letter.pixels, layout="lines", max_tokens=most, on_event=told.append)
    page, whole = document.pages[0], read.pages[0]
    assert page.finish_reason == "length"
    assert page.generation is not None
    assert 0 < len(page.generation.ids) == len(page.generation.logprobs) <= most
    assert page.text
    assert whole.text.startswith(page.text)
    texts = [event for event in told if isinstance(event, TextRead)]
    assert "".join(event.text for event in texts) == page.text
    assert texts[-1].n_tokens == len(page.generation.ids)
    assert [word.text for word in page.words] == TEXT.findall(page.text)
    for found, known in zip(page.words[:-1], whole.words, strict=False):
        assert found == known
    assert most == 1 or page.words[-1] == whole.words[len(page.words) - 1]
    for line in page.lines:
        assert page.text[line.start : line.start + len(line.text)] == line.text
        assert line.box is not None
        ends = [word.box.right for word in line.words if word.box is not None]
        assert line.box.right == pytest.approx(max(ends), abs=3)


def test_a_page_ends_with_its_time(ocr: CrispOCR, letter: RenderedPage) -> None:
    document = ocr.recognize(letter.pixels, layout="lines", page_time_limit=1e-4)
    assert document.finish_reason == "time_limit"


def test_a_page_is_cancelled(ocr: CrispOCR, letter: RenderedPage) -> None:
    cancel = CancelToken()

    def stop(event: object) -> None:
        if isinstance(event, LinesFound):
            cancel.cancel()

    with pytest.raises(Cancelled) as error:
        ocr.recognize(letter.pixels, layout="lines", cancel=cancel, on_event=stop)
    partial = error.value.partial
    assert isinstance(partial, Document)
    assert partial.finish_reason == "cancelled"


def test_pages_read_together_are_what_they_are_alone(
    ocr: CrispOCR, letter: RenderedPage, read: Document
) -> None:
    other = letter.image.transpose(Image.Transpose.ROTATE_180)
    found = list(ocr.recognize_many([letter.image, other, letter.image], layout="lines"))
    assert [found[0].text, found[2].text] == [read.text] * 2


def test_a_page_without_text_gives_none(ocr: CrispOCR) -> None:
    grey = np.linspace(40, 220, 400, dtype=np.uint8)
    page = Image.fromarray(np.broadcast_to(grey, (300, 400)).copy())
    document = ocr.recognize(page, layout="lines")
    assert document.text == ""
    assert document.finish_reason == "stop"


@pytest.mark.parametrize("asked", [{"prompt": "What is the total?"}, {"task": "caption"}])
def test_only_the_text_of_a_page_is_read_by_lines(
    ocr: CrispOCR, letter: RenderedPage, asked: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"\[layout\]"):
        ocr.recognize(letter.pixels, layout="lines", **asked)


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="layout to be one of page, lines, blocks, auto"):
        ReadOptions(layout="columns")  # type: ignore[arg-type]


def test_an_answer_has_a_limit_without_being_given_one() -> None:
    assert GenerateOptions().max_tokens is None
    with pytest.raises(ValueError, match="max_tokens to be at least 1"):
        GenerateOptions(max_tokens=0)


def test_grey_letters_that_were_dithered_to_dots_are_read(ocr: CrispOCR) -> None:
    page = Image.new("L", (700, 260), 255)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(48)
    draw.text((40, 30), "CORNER SHOP", fill=215, font=font)
    draw.text((40, 130), "12 May 2026", fill=215, font=font)
    for image in (page, page.point(lambda level: 255 - level)):
        document = ocr.recognize(image.convert("1"))
        lines = [line for line in document.text.splitlines() if line]
        assert lines == ["CORNER SHOP", "12 May 2026"]


@pytest.mark.parametrize(("paper", "ink"), [(255, 238), (12, 30), (200, 184)])
def test_faint_letters_are_read(ocr: CrispOCR, paper: int, ink: int) -> None:
    page = Image.new("L", (420, 90), paper)
    ImageDraw.Draw(page).text((24, 20), "CORNER SHOP", ink, ImageFont.load_default(40))
    assert ocr.recognize(page).text == "CORNER SHOP"


def test_a_page_with_ink_of_which_no_line_was_found_is_flagged(ocr: CrispOCR) -> None:
    document = ocr.recognize(Image.radial_gradient("L").resize((600, 600)))
    assert (document.text, document.flags) == ("", ("empty",))


def test_a_page_of_text_without_a_table_is_not_said_to_be_unread(
    ocr: CrispOCR, letter: RenderedPage
) -> None:
    page = ocr.recognize(letter.pixels, task="table").pages[0]
    assert not page.text.strip()
    assert page.flags == ()
