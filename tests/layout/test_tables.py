"""Tables: cells are kept apart and know their row and column."""

from __future__ import annotations

from crispvl import _core
from rendered import RenderedPage

ROWS = (
    ("Item", "Size", "Price"),
    ("bolt", "M4", "0.20"),
    ("screw", "M5", "0.35"),
    ("washer", "12 mm", "1.00"),
)
CELLS = [(row, column) for row in range(len(ROWS)) for column in range(3)]


def page_with_cells(y_mm: float, pitch_mm: float) -> RenderedPage:
    page = RenderedPage()
    page.column(25, 30, 160, 4)
    for i_row, row in enumerate(ROWS):
        for i_column, text in enumerate(row):
            page.write(30 + 40 * i_column, y_mm + pitch_mm * i_row, text)
    page.column(25, 200, 160, 4)
    return page


def rule(page: RenderedPage, x0: float, y0: float, x1: float, y1: float) -> None:
    page.pen.line((page.px(x0), page.px(y0), page.px(x1), page.px(y1)), fill=0, width=2)


def cells_of(page: RenderedPage) -> list[tuple[int, int] | None]:
    layout = _core.find_layout(page.pixels)
    assert [block.kind for block in layout.blocks] == ["text", "table", "text"]
    return [layout.lines[i].cell for i in layout.blocks[1].lines]


def test_a_ruled_table_has_the_rows_and_columns_of_its_rules() -> None:
    page = page_with_cells(80, 9)
    for i in range(len(ROWS) + 1):
        rule(page, 27, 74 + 9 * i, 147, 74 + 9 * i)
    for i in range(4):
        rule(page, 27 + 40 * i, 74, 27 + 40 * i, 74 + 9 * len(ROWS))
    assert cells_of(page) == CELLS


def test_aligned_cells_are_a_table_without_rules() -> None:
    assert cells_of(page_with_cells(80, 7)) == CELLS


def test_columns_of_running_text_are_no_table() -> None:
    page = RenderedPage()
    for i in range(3):
        page.column(12 + 65 * i, 40, 56, 12, 9, first=5 * i)
    assert [block.kind for block in _core.find_layout(page.pixels).blocks] == ["text"] * 3


def test_text_does_not_go_on_over_an_upright_rule() -> None:
    page = RenderedPage()
    for i in range(6):
        page.write(30, 40 + 8 * i, "left", 11)
        page.write(42.5, 40 + 8 * i, "right", 11)
    rule(page, 40.5, 34, 40.5, 84)
    assert len(_core.find_layout(page.pixels).lines) == 12
