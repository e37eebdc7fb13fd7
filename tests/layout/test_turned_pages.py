"""Pages on their side, on their head and askew, in bad light and inverse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from crispvl import _core
from PIL import Image
from rendered import RenderedPage, box_of, mean_iou


def letter() -> RenderedPage:
    page = RenderedPage(dpi=150)
    page.write(25, 35, "Northern Supply Company", 18)
    page.column(25, 60, 160, 14)
    page.write(25, 160, "Yours sincerely,")
    return page


def receipt() -> RenderedPage:
    page = RenderedPage(80, 110, dpi=200)
    page.write(18, 15, "CORNER MARKET")
    page.write(18, 22, "45 HIGH STREET")
    for row, (name, amount) in enumerate([("MILK", "1.85"), ("BREAD", "2.40"), ("TOTAL", "4.25")]):
        page.write(8, 35 + 8 * row, name)
        page.write(72, 35 + 8 * row, amount, right=True)
    return page


@pytest.mark.parametrize("make", [letter, receipt])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_page_turned_by_quarter_turns_is_read_in_its_order(
    make: Callable[[], RenderedPage], turns: int
) -> None:
    page = make()
    layout = _core.find_layout(np.ascontiguousarray(np.rot90(page.pixels, turns)))
    assert layout.quarter_turns == turns
    assert len(layout.lines) == len(page.lines)
    top_left, top_right = layout.lines[0].quad[:2]
    along = np.round((top_right - top_left) / np.abs(top_right - top_left).max())
    assert along.tolist() == [[1, 0], [0, -1], [-1, 0], [0, 1]][turns]


@pytest.mark.parametrize("turns", [0, 2])
def test_small_print_on_a_very_large_page_is_found_as_on_a_small_one(turns: int) -> None:
    page = receipt()
    sheet = np.full((8000, 8000, 3), 255, np.uint8)
    height, width = page.pixels.shape[:2]
    sheet[100 : 100 + height, 100 : 100 + width] = page.pixels
    layout = _core.find_layout(np.ascontiguousarray(np.rot90(sheet, turns)))
    assert layout.quarter_turns == turns
    assert len(layout.lines) == len(page.lines)
    if turns == 0:
        found = [box_of(line.quad - 100) for line in layout.lines]
        assert mean_iou(page.lines, found) >= 0.85


@pytest.mark.parametrize("degrees", [-10, -5, -2, 3, 5, 10])
def test_the_lines_of_a_page_askew_are_askew(degrees: float) -> None:
    page = letter()
    askew = page.image.rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    layout = _core.find_layout(np.asarray(askew.convert("RGB")))
    assert layout.angle_degrees == pytest.approx(degrees, abs=0.15)
    assert len(layout.lines) == len(page.lines)
    start, end = layout.lines[1].baseline
    slope = np.degrees(np.arctan2(end[1] - start[1], end[0] - start[0]))
    assert slope == pytest.approx(degrees, abs=0.3)


def same_lines(page: RenderedPage, pixels: np.ndarray) -> _core.Layout:
    layout = _core.find_layout(np.ascontiguousarray(pixels))
    assert len(layout.lines) == len(page.lines)
    assert mean_iou(page.lines, [box_of(line.quad) for line in layout.lines]) >= 0.85
    return layout


def test_light_from_one_side_hides_no_line() -> None:
    page = letter()
    light = np.linspace(1, 0.35, page.image.width)[None, :, None]
    same_lines(page, (page.pixels * light).astype(np.uint8))


def test_a_bilevel_page_has_the_same_lines() -> None:
    page = letter()
    same_lines(page, np.where(page.pixels > 150, 255, 0).astype(np.uint8))


def test_an_inverse_page_has_the_same_lines() -> None:
    page = letter()
    assert all(line.inverse for line in same_lines(page, 255 - page.pixels).lines)


def test_light_print_on_a_dark_bar_is_a_line() -> None:
    page = letter()
    page.pen.rectangle((page.px(25), page.px(180), page.px(120), page.px(190)), fill=20)
    page.write(30, 187, "SIMPLIFIED TAX INVOICE", 13, ink=250)
    lines = same_lines(page, page.pixels).lines
    assert [line.inverse for line in lines] == [False] * (len(lines) - 1) + [True]


def test_a_frame_of_dots_beside_print_is_no_part_of_its_lines() -> None:
    page = letter()
    left, right = page.px(21), page.px(190)
    for y in range(page.px(20), page.px(280), 4):
        for x in (left, left + 6, right, right + 6):
            page.pen.rectangle((x, y, x + 1, y + 1), fill=0)
    same_lines(page, page.pixels)


def test_print_on_rules_and_in_frames_is_found_without_them() -> None:
    page = RenderedPage(dpi=200)
    for row in range(8):
        page.write(30, 50 + 10 * row, "an answer on a ruled form", 11)
        y = page.px(50 + 10 * row) + 3
        page.pen.line((page.px(25), y, page.px(180), y), fill=0, width=3)
    page.pen.rectangle((page.px(20), page.px(30), page.px(190), page.px(140)), outline=0, width=4)
    same_lines(page, page.pixels)
