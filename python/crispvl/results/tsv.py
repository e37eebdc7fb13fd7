"""Tab-separated values with Tesseract's columns: a row per page, block, line and word."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from crispvl.results.block_lines import block_lines, box_of, numbered_pages, page_box
from crispvl.results.lines import Rectangle
from crispvl.results.page import DocumentLike, Page

COLUMNS = (
    "level", "page_num", "block_num", "par_num", "line_num", "word_num", "left", "top", "width",
    "height", "conf", "text",
)  # fmt: skip
"""Level 1 is a page, 2 a block, 3 a paragraph, 4 a line and 5 a word; what holds no text of its own
has the confidence -1."""


def to_tsv(documents: Sequence[DocumentLike]) -> str:
    """Returns the rows of all documents' pages under one heading; boxes in whole pixels.

    Where the places of lines are not known, since a page was not read by lines, they have its box.
    """
    rows = [
        COLUMNS,
        *(row for number, _, page in numbered_pages(documents) for row in _rows(number, page)),
    ]
    return "".join("\t".join(row) + "\n" for row in rows)


def _rows(page_number: int, page: Page) -> Iterator[tuple[str, ...]]:
    def row(
        numbers: tuple[int, ...], box: Rectangle, confidence: str, text: str
    ) -> tuple[str, ...]:
        level = len(numbers) + 1
        counted = (page_number, *numbers, *(0,) * (4 - len(numbers)))
        left, top = math.floor(box.left), math.floor(box.top)
        size = math.ceil(box.right) - left, math.ceil(box.bottom) - top
        cells = (level, *counted, left, top, *size)
        return (*map(str, cells), confidence, text)

    yield row((), page_box(page), "-1", "")
    for i_block, block in enumerate(block_lines(page), start=1):
        yield row((i_block,), block.box, "-1", "")
        yield row((i_block, 1), block.box, "-1", "")
        for i_line, line in enumerate(block.lines, start=1):
            yield row((i_block, 1, i_line), box_of(line, page), "-1", "")
            for i_word, word in enumerate(line.words, start=1):
                confidence = f"{100 * word.confidence:.2f}"
                text = "".join(c if c.isprintable() else " " for c in word.text)
                yield row((i_block, 1, i_line, i_word), box_of(word, page), confidence, text)
