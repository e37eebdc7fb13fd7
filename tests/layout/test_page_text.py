"""Text and Markdown from the lines of a page, without a model: what was written is given back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from crispvl._core import Layout, find_layout
from crispvl.layout.joining import ReadLine, ReadWord
from crispvl.layout.page_writer import PageWriter, page_writer
from crispvl.options import Task
from rendered import RenderedPage

Draw = Callable[[RenderedPage], None]


def _read(page: RenderedPage, layout: Layout) -> dict[int, ReadLine]:
    """What a model without errors reads: each found line is given the true words on its ink."""
    lines = {}
    for number, line in enumerate(layout.lines):
        words = []
        for quad in line.word_quads:
            x, y = quad.mean(axis=0)
            inside = (
                text
                for (left, top, right, bottom), text in zip(
                    page.words, " ".join(page.texts).split(), strict=True
                )
                if left - 2 <= x <= right + 2 and top - 6 <= y <= bottom + 6
            )
            text = next(inside, None)
            if text is not None and (not words or words[-1].text != text):
                corners = tuple((float(a), float(b)) for a, b in quad)
                words.append(ReadWord(text, -0.01, corners))  # type: ignore[arg-type]
        lines[number] = ReadLine(tuple(words), -0.01, words[0].quad, (), line.block)
    return lines


def _written(draw: Draw, task: Task) -> PageWriter:
    page = RenderedPage(dpi=150)
    draw(page)
    layout = find_layout(page.pixels)
    writer, read = page_writer(task, layout), _read(page, layout)
    while writer.waiting:
        writer.put({number: read[number] for number in writer.waiting})
    return writer


def _paragraphs(page: RenderedPage) -> None:
    for y, text in enumerate(["alpha beta gamma delta epsilon", "zeta eta theta iota kappa la"]):
        page.write(25, 40 + 6 * y, text)
    for y, text in enumerate(["second paragraph begins here", "and ends with this short line"]):
        page.write(25, 70 + 6 * y, text)


def _receipt(page: RenderedPage) -> None:
    for y, (label, amount) in enumerate([("Coffee", "7.00"), ("Bagel", "3.25"), ("Soup", "5.40")]):
        page.write(25, 40 + 7 * y, label)
        page.write(120, 40 + 7 * y, amount, right=True)


def test_lines_are_kept_and_blocks_parted_by_an_empty_line() -> None:
    assert _written(_paragraphs, "text").text == (
        "alpha beta gamma delta epsilon\nzeta eta theta iota kappa la\n\n"
        "second paragraph begins here\nand ends with this short line"
    )


def test_a_paragraph_is_one_line_of_markdown() -> None:
    assert _written(_paragraphs, "markdown").text == (
        "alpha beta gamma delta epsilon zeta eta theta iota kappa la\n\n"
        "second paragraph begins here and ends with this short line"
    )


@pytest.mark.parametrize(("task", "between"), [("text", "\n"), ("markdown", "  \n")])
def test_a_label_keeps_its_value_beside_it(task: Task, between: str) -> None:
    rows = ["Coffee 7.00", "Bagel 3.25", "Soup 5.40"]
    assert _written(_receipt, task).text == between.join(rows)


def test_a_larger_line_is_a_heading() -> None:
    def draw(page: RenderedPage) -> None:
        page.write(25, 30, "The great title", points=22)
        page.column(25, 45, 150, n_lines=3)
        page.write(25, 75, "A lesser one", points=15)
        page.column(25, 82, 150, n_lines=3)

    blocks = _written(draw, "markdown").text.split("\n\n")
    assert [blocks[0], blocks[2]] == ["# The great title", "## A lesser one"]
    assert not blocks[1].startswith("#")


def test_a_bold_line_by_itself_is_a_heading_of_its_text() -> None:
    def draw(page: RenderedPage) -> None:
        page.write(25, 40, "Foxes", bold=1)
        page.column(25, 46, 150, n_lines=3)
        page.write(25, 75, "Total:", bold=1)
        page.write(100, 75, "lots", bold=1)

    blocks = _written(draw, "markdown").text.split("\n\n")
    assert blocks[0] == "### Foxes"
    assert blocks[-1] == "Total: lots"


def test_lists_are_told_by_their_marks() -> None:
    def draw(page: RenderedPage) -> None:
        for y, text in enumerate(["1. first of all", "2. then the rest", "3) at last"]):
            page.write(25, 40 + 6 * y, text)

    written = _written(draw, "markdown").text
    assert written == "1. first of all\n2. then the rest\n3. at last"


def test_a_line_that_ends_on_purpose_is_broken() -> None:
    def draw(page: RenderedPage) -> None:
        page.column(25, 30, 150, n_lines=3)
        for y, text in enumerate(["Anna Smith", "12 Mill Road", "London"]):
            page.write(25, 70 + 6 * y, text)

    assert _written(draw, "markdown").text.endswith("\n\nAnna Smith  \n12 Mill Road  \nLondon")


def _prices(page: RenderedPage) -> None:
    rows = [("Article", "Pieces", "Price"), ("Paint", "12", "7.00"), ("Brush", "3", "11.25")]
    for y, (article, pieces, price) in enumerate([*rows, ("Ladder", "1", "80.10")]):
        page.write(25, 40 + 7 * y, article)
        page.write(90, 40 + 7 * y, pieces, right=True)
        page.write(140, 40 + 7 * y, price, right=True)


@pytest.mark.parametrize("task", ["markdown", "table"])
def test_aligned_columns_are_a_table(task: Task) -> None:
    assert _written(_prices, task).text.split("\n") == [
        "| Article | Pieces | Price |",
        "| --- | --- | --- |",
        "| Paint | 12 | 7.00 |",
        "| Brush | 3 | 11.25 |",
        "| Ladder | 1 | 80.10 |",
    ]


def test_a_word_that_a_line_end_broke_is_whole_again() -> None:
    def draw(page: RenderedPage) -> None:
        page.write(25, 40, "this line ends within an infor-")
        page.write(25, 46, "mation that goes on and on here")

    assert "an information that" in _written(draw, "markdown").text


def test_words_say_where_they_are_in_either_text() -> None:
    for task in ("text", "markdown"):
        for draw in (_paragraphs, _receipt):
            writer = _written(draw, task)  # type: ignore[arg-type]
            for line in writer.lines:
                assert writer.text[line.start :].startswith(line.text)
                for word in line.words:
                    assert writer.text[word.start :].startswith(word.text)


def test_markdown_is_known_of_a_page_that_was_read_as_text() -> None:
    assert _written(_paragraphs, "text").markdown == _written(_paragraphs, "markdown").text
