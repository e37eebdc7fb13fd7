"""Which rows of lines make a table, and the cell of each line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from crispvl._core import LayoutLine

Cell = tuple[int, int]
"""Row and column, counted from 0."""

_FEWEST_ROWS = 3
_FEWEST_COLUMNS = 3
"""Two columns are labels and values, or articles and prices, which read better as lines."""

_FILLED = 0.6  # of the cells, at least


def cells_of(lines: Sequence[LayoutLine], rows: Sequence[Sequence[int]]) -> dict[int, Cell] | None:
    """Returns the cell of each line where rows make a table; None where they do not.

    The layout knows the cells between rules; others are found by how lines are aligned.

    Args:
        lines: Of the page.
        rows: Numbers of lines, from left to right; from the upper row to the lowest.
    """
    known = {i: lines[i].cell for row in rows for i in row}
    ruled = {i: cell for i, cell in known.items() if cell is not None}
    return ruled if len(ruled) == len(known) else _aligned_cells(lines, rows)


def _aligned_cells(
    lines: Sequence[LayoutLine], rows: Sequence[Sequence[int]]
) -> dict[int, Cell] | None:
    """The same where white runs through all rows between at least three columns.

    Each row has at most one line in a column, and in most columns one.
    """
    if len(rows) < _FEWEST_ROWS or any(len(row) < 2 for row in rows):
        return None
    numbers = [i for row in rows for i in row]
    along = np.asarray(lines[numbers[0]].quad, np.float64)
    along = along[1] - along[0]
    spans = {}
    for i in numbers:
        places = np.asarray(lines[i].quad, np.float64) @ along
        spans[i] = float(places.min()), float(places.max())
    column, n_columns, reach = {}, 0, -np.inf
    for i in sorted(numbers, key=lambda i: spans[i]):
        n_columns += spans[i][0] > reach
        reach = max(reach, spans[i][1])
        column[i] = n_columns - 1
    is_full = len(numbers) >= _FILLED * n_columns * len(rows)
    is_single = all(len({column[i] for i in row}) == len(row) for row in rows)
    if n_columns < _FEWEST_COLUMNS or not is_full or not is_single:
        return None
    return {i: (i_row, column[i]) for i_row, row in enumerate(rows) for i in row}
