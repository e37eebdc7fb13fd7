"""Page ranges as people write them: ``1-3,7,10-``, counted from 1."""

from __future__ import annotations

import re

_RANGE = re.compile(r"\s*(?:(?P<first>\d+)\s*(?P<dash>-)?\s*(?P<last>\d+)?|-\s*(?P<upto>\d+))\s*")


def check_page_ranges(text: str) -> str:
    """Returns a page range as it was given, or raises ValueError where it is none."""
    _parse(text)
    return text


def select_pages(text: str | None, n_pages: int, where: str = "pages") -> list[int]:
    """Returns the numbers of the pages asked for, in ascending order, each once.

    Args:
        text: Numbers and ranges between commas; ``10-`` runs to the end, ``-3`` from the start.
            None means all pages.
        n_pages: How many pages the document has. Pages beyond the last are left out.
        where: What the document is called in error messages.

    Raises:
        ValueError: The text is no page range, or names no page that the document has.
    """
    if text is None:
        return list(range(1, n_pages + 1))
    chosen: set[int] = set()
    for first, last in _parse(text):
        end = n_pages if last is None else min(last, n_pages)
        chosen.update(range(first, end + 1))
    if not chosen:
        raise ValueError(f"[{where}] expected pages in 1…{n_pages}; found {text!r}; change pages")
    return sorted(chosen)


def is_page_of(text: str | None, page: int) -> bool:
    """Returns whether a page is asked for, however many there are."""
    if text is None:
        return True
    return any(first <= page and (last is None or page <= last) for first, last in _parse(text))


def _parse(text: str) -> list[tuple[int, int | None]]:
    """Returns first and last page of each range; the last is None where it is left open."""
    ranges: list[tuple[int, int | None]] = []
    for piece in text.split(","):
        match = _RANGE.fullmatch(piece)
        last: int | None
        if match is None:
            raise _unreadable(text)
        if match["upto"]:
            first, last = 1, int(match["upto"])
        else:
            first = int(match["first"])
            last = int(match["last"]) if match["last"] else None
            if not match["dash"]:
                if last is not None:  # "1 2": a comma is missing
                    raise _unreadable(text)
                last = first
        if first < 1 or (last is not None and last < first):
            raise _unreadable(text)
        ranges.append((first, last))
    return ranges


def _unreadable(text: str) -> ValueError:
    return ValueError(
        f"[pages] expected numbers and ascending ranges, counted from 1; found {text!r}; write "
        "them like '1-3,7,10-'"
    )
