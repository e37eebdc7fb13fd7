"""Where the lines and words of a page are."""

from __future__ import annotations

import numpy as np
import pytest
from crispvl import _core
from rendered import WORDS, RenderedPage, box_of, mean_iou


def check(page: RenderedPage) -> _core.Layout:
    """Every line of the page is found where it is, and nothing else."""
    layout = _core.find_layout(page.pixels)
    assert len(layout.lines) == len(page.lines)
    assert mean_iou(page.lines, [box_of(line.quad) for line in layout.lines]) >= 0.85
    words = [box_of(quad) for line in layout.lines for quad in line.word_quads]
    assert mean_iou(page.words, words) >= 0.7
    return layout


@pytest.mark.parametrize("dpi", [100, 150, 200, 300, 600])
@pytest.mark.parametrize("points", [10, 12])
def test_a_column_of_text_has_its_lines_and_words_at_their_ink(dpi: int, points: int) -> None:
    page = RenderedPage(dpi=dpi)
    page.column(25, 40, 160, 20, points)
    check(page)


def test_two_columns_are_read_one_after_the_other() -> None:
    page = RenderedPage()
    page.column(20, 40, 80, 20)
    page.column(110, 40, 80, 20, first=7)
    lines = check(page).lines
    assert [line.quad[0, 0] < page.px(100) for line in lines] == [True] * 20 + [False] * 20


def test_justified_columns_with_wide_word_gaps_are_read_one_after_the_other() -> None:
    page = RenderedPage()
    length = page.font(11).getlength
    for row in range(24):
        for first_mm, shift in ((20, 0), (110, 5)):
            n_words = (7, 5, 6, 4, 6)[(row + shift) % 5]
            run = [WORDS[(5 * row + shift + i) % len(WORDS)] for i in range(n_words)]
            gap_px = (page.px(80) - sum(map(length, run))) / (n_words - 1)
            x_mm = float(first_mm)
            for word in run:
                page.write(x_mm, 40 + 6 * row, word)
                x_mm += (length(word) + gap_px) / page.dpi * 25.4
    middles = [line.quad[:, 0].mean() for line in _core.find_layout(page.pixels).lines]
    is_left = [x < page.px(105) for x in middles]
    assert is_left == sorted(is_left, reverse=True)
    assert 0 < sum(is_left) < len(is_left)


def test_columns_flow_around_a_caption_that_is_set_between_them() -> None:
    page = RenderedPage()
    pitch_mm = 11 * 1.3 / 72 * 25.4
    for x_mm, narrow_x_mm, first in ((20, 20, 0), (110, 138, 7)):
        page.column(x_mm, 40, 80, 8, first=first)
        page.column(narrow_x_mm, 40 + 8 * pitch_mm, 52, 10, first=first + 3)
        page.column(x_mm, 40 + 18 * pitch_mm, 80, 8, first=first + 5)
    for row, text in enumerate(["the quick brown fox and", "what it jumped over", "in the end"]):
        page.write(82, 92 + 4 * row, text, points=9)
    lines = check(page).lines
    middles = [line.quad[:, 0].mean() for line in lines]
    left = [n for n, x in enumerate(middles) if x < page.px(78)]
    right = [n for n, x in enumerate(middles) if x > page.px(128)]
    assert left == list(range(26))
    assert right == list(range(29, 55))


def test_a_receipt_is_read_row_by_row_and_its_amounts_are_lines_of_their_own() -> None:
    page = RenderedPage(80, 120)
    for row, (name, amount) in enumerate(
        [("Coffee", "3.20"), ("Cake", "14.50"), ("Total", "17.70")]
    ):
        page.write(8, 20 + 8 * row, name)
        page.write(72, 20 + 8 * row, amount, right=True)
    layout = check(page)
    for line, truth in zip(layout.lines, page.lines, strict=True):
        assert line.quad[0] == pytest.approx(truth[:2], abs=2)


def test_a_headline_and_small_print_are_lines_of_their_own_size() -> None:
    page = RenderedPage()
    page.write(25, 40, "A large headline", 36)
    page.column(25, 60, 160, 8, 11)
    page.write(25, 250, "and small print below it", 7)
    heights = [line.x_height_px for line in check(page).lines]
    assert heights[0] > 2.5 * heights[1] > 1.3 * 2.5 * heights[-1]


def test_the_baseline_is_under_letters_without_descenders() -> None:
    page = RenderedPage(dpi=200)
    page.write(20, 50, "a gypsy jumped quietly onto my big yacht")
    (line,) = _core.find_layout(page.pixels).lines
    assert line.baseline[:, 1] == pytest.approx(page.px(50), abs=1.5)


def test_lines_of_a_strip_have_one_height_and_are_dark_on_light() -> None:
    page = RenderedPage(dpi=200, paper=40)
    page.column(20, 40, 160, 6)
    page = RenderedPage(dpi=200, paper=30)
    page.write(20, 50, "white letters on a dark page", ink=230)
    page.write(20, 60, "and a second line of them", ink=230)
    layout = _core.find_layout(page.pixels)
    assert [line.inverse for line in layout.lines] == [True, True]
    strip = _core.cut_line(page.pixels, layout.lines[0], 26)
    assert strip.shape[0] == 26
    assert strip.shape[2] == 3
    assert np.median(strip) > 235
    assert strip.min() < 60


def test_part_of_a_line_is_cut_with_a_small_margin() -> None:
    page = RenderedPage()
    page.write(20, 50, "three short words")
    (line,) = _core.find_layout(page.pixels).lines
    (_, _), (start, end), (_, _) = line.words
    strip = _core.cut_line(page.pixels, line, 26, start, end)
    assert strip.shape[1] == pytest.approx((end - start) * 26 / line.band_px + 6, abs=1)


def test_a_blank_page_has_no_lines() -> None:
    assert _core.find_layout(RenderedPage().pixels).lines == []


def test_labels_that_are_of_one_width_by_chance_are_no_column() -> None:
    page = RenderedPage()
    labels = ["Road 1:", "Road 2:", "Road 3:", "Road 4:", "Number of reference:"]
    values = ["109 Window Road", "118 Window Road", "127 Window Road", "136 Window Road"]
    values.append("4159552-K, 1979-08-18")
    for i, (label, value) in enumerate(zip(labels, values, strict=True)):
        page.write(25, 40 + 6 * i, label)
        page.write(75, 40 + 6 * i, value)
    boxes = [box_of(line.quad) for line in _core.find_layout(page.pixels).lines]
    assert [box[0] < page.px(50) for box in boxes] == [True, False] * len(labels)
