"""The lines of a page by their blocks, as formats that tell positions are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from crispvl.results.lines import BlockKind, Line, Rectangle, Word
from crispvl.results.page import DocumentLike, Page


@dataclass(frozen=True)
class BlockLines:
    """A block and its lines, in the text's order."""

    kind: BlockKind
    box: Rectangle
    lines: tuple[Line, ...]


def block_lines(page: Page) -> Iterator[BlockLines]:
    """Yields the blocks of a page that hold text; all of it is one where places are not known."""
    for number, lines in groupby(page.lines, key=lambda line: line.block):
        if 0 <= number < len(page.blocks):
            block = page.blocks[number]
            yield BlockLines(block.kind, block.box, tuple(lines))
        else:
            yield BlockLines("text", page_box(page), tuple(lines))


def numbered_pages(documents: Sequence[DocumentLike]) -> Iterator[tuple[int, DocumentLike, Page]]:
    """Yields the pages by their own numbers; those of several documents are counted on."""
    before = 0
    for document in documents:
        for page in document.pages:
            yield before + page.number, document, page
        before += document.pages[-1].number if document.pages else 0


def page_box(page: Page) -> Rectangle:
    return Rectangle(0, 0, page.width_px, page.height_px)


def box_of(thing: Line | Word, page: Page) -> Rectangle:
    """Returns the place of something; where that is not known, the page it is on."""
    return thing.box or page_box(page)
