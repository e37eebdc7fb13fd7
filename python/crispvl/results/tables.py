"""Tables in what a model wrote, Markdown's or HTML's, as rows of cells, and as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from html.parser import HTMLParser

Table = tuple[tuple[str, ...], ...]

MAX_SPAN = 100
"""Most rows or columns that one cell is spread over, whatever it claims."""

_HTML = re.compile(r"<table\b.*?(?:</table\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*")
_CELL_END = re.compile(r"(?<!\\)\|")


def find_tables(text: str) -> tuple[Table, ...]:
    """Returns the tables of a text in order. A cell that spans is repeated where it reaches."""
    found: list[tuple[int, Table]] = []
    for match in _HTML.finditer(text):
        parser = _TableParser()
        parser.feed(match[0])
        parser.close()
        found.append((match.start(), parser.table()))
    # Of the same length, so that places stay.
    rest = _HTML.sub(lambda match: "\n" * len(match[0]), text)
    found.extend(_pipe_tables(rest))
    return tuple(table for _, table in sorted(found, key=lambda pair: pair[0]) if table)


def to_csv(tables: Iterable[Table]) -> str:
    """Returns tables as CSV, an empty line between two."""
    parts = []
    for table in tables:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(table)
        parts.append(buffer.getvalue())
    return "\n".join(parts)


def _pipe_tables(text: str) -> Iterable[tuple[int, Table]]:
    """Yields place and table wherever a line of cells is followed by a rule (``|---|---|``)."""
    lines = text.splitlines(keepends=True)
    place = i = 0
    while i < len(lines):
        if i + 1 < len(lines) and "|" in lines[i] and _RULE.fullmatch(lines[i + 1].rstrip("\n")):
            start, rows = place, [_cells(lines[i])]
            place += len(lines[i]) + len(lines[i + 1])
            i += 2
            while i < len(lines) and "|" in lines[i]:
                rows.append(_cells(lines[i]))
                place += len(lines[i])
                i += 1
            width = max(map(len, rows))
            yield start, tuple((*row, *[""] * (width - len(row))) for row in rows)
        else:
            place += len(lines[i])
            i += 1


def _cells(line: str) -> tuple[str, ...]:
    line = line.strip().removeprefix("|")
    if line.endswith("|") and not line.endswith("\\|"):
        line = line[:-1]
    return tuple(cell.strip().replace("\\|", "|") for cell in _CELL_END.split(line))


class _TableParser(HTMLParser):
    """Takes the cells of one table and puts them where their spans leave room."""

    def __init__(self) -> None:
        super().__init__()
        self._cells: dict[tuple[int, int], str] = {}
        self._row = -1
        self._column = 0
        self._span = (1, 1)
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self._end_cell()
            self._row, self._column = self._row + 1, 0
        elif tag in ("td", "th"):
            self._end_cell()
            self._row = max(self._row, 0)
            given = dict(attrs)
            self._span = _span(given.get("rowspan")), _span(given.get("colspan"))
            self._text = []
        elif tag == "br" and self._text is not None:
            self._text.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._end_cell()

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def table(self) -> Table:
        self._end_cell()
        if not self._cells:
            return ()
        # A span over rows that never came adds none.
        n_rows = self._row + 1
        n_columns = 1 + max(column for _, column in self._cells)
        return tuple(
            tuple(self._cells.get((row, column), "") for column in range(n_columns))
            for row in range(n_rows)
        )

    def _end_cell(self) -> None:
        if self._text is None:
            return
        text = "".join(self._text).strip()
        self._text = None
        while (self._row, self._column) in self._cells:
            self._column += 1
        n_rows, n_columns = self._span
        for row in range(self._row, self._row + n_rows):
            for column in range(self._column, self._column + n_columns):
                self._cells[row, column] = text
        self._column += n_columns


def _span(value: str | None) -> int:
    return min(int(value), MAX_SPAN) if value and value.isdecimal() and int(value) > 0 else 1
