"""Print as receipts and old scans have it: crowded, faint, in fixed pitch, in bad company."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from crispvl import _core
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from rendered import RenderedPage, box_of


def strip_of(page: RenderedPage, i_line: int) -> np.ndarray:
    layout = _core.find_layout(page.pixels)
    return _core.cut_line(page.pixels, layout.lines[i_line], 26)[..., 0].astype(float)


def test_a_strip_shows_nothing_of_the_lines_above_and_below() -> None:
    crowded, alone = RenderedPage(), RenderedPage()
    for row, text in enumerate(["jogging guy", "happy gypsy", "bold kings"]):
        crowded.write(30, 50 + 4 * row, text)
    alone.write(30, 54, "happy gypsy")
    here, there = strip_of(crowded, 1), strip_of(alone, 0)
    n = min(here.shape[1], there.shape[1])
    assert np.abs(here[:, :n] - there[:, :n]).mean() < 2


@pytest.mark.parametrize("points", [9, 12])
def test_words_in_fixed_pitch_part_at_its_spaces(points: float) -> None:
    page = RenderedPage(dpi=200)
    lines = ["1 x ILL. TILLER  10.50", "MILK, 1.5 L      2.19", "TOTAL: EUR      112.69"]
    font = page.font(points)
    for row, text in enumerate(lines):
        for i, char in enumerate(text):
            x, y = page.px(20) + i * points / 72 * 200 * 0.72, page.px(40 + 7 * row)
            page.pen.text((x, y), char, font=font, fill=0, anchor="ms")
    layout = _core.find_layout(page.pixels)
    n_words = [sum(len(line.words) for line in layout.lines if _row(line) == i) for i in range(3)]
    assert n_words == [len(text.split()) for text in lines]


def _row(line: _core.LayoutLine) -> int:
    return round((float(line.baseline[0, 1]) / 200 * 25.4 - 40) / 7)


def test_faint_letters_beside_bold_ones_are_found() -> None:
    page = RenderedPage()
    page.write(30, 50, "BOLD TOTAL", ink=0)
    page.write(57, 50, "12.50", ink=175)
    page.write(30, 60, "quite faint words", ink=175)
    page.write(30, 70, "BOLD AGAIN", ink=0)
    boxes = [box_of(line.quad) for line in _core.find_layout(page.pixels).lines]
    for left, top, right, bottom in page.lines:
        assert any(
            a <= left + 3 and right - 3 <= c and b <= top + 3 and bottom - 3 <= d
            for a, b, c, d in boxes
        )


def test_the_halo_of_a_sharpened_scan_is_no_light_print() -> None:
    page = RenderedPage(paper=185)
    page.column(25, 40, 160, 8)
    sharp = page.image.filter(ImageFilter.UnsharpMask(radius=4, percent=180, threshold=0))
    layout = _core.find_layout(np.asarray(sharp.convert("RGB")))
    assert [line.inverse for line in layout.lines] == [False] * 8


def test_a_colon_far_from_its_label_belongs_to_the_label() -> None:
    page = RenderedPage()
    page.write(25, 40, "Cashier")
    page.write(42, 40, ":")
    (line,) = _core.find_layout(page.pixels).lines
    assert len(line.words) == 2


def test_a_colon_between_a_label_and_its_value_is_a_line_of_its_own() -> None:
    page = RenderedPage()
    for i, (label, value) in enumerate([("Total", "16.00"), ("Cash", "20.00"), ("Change", "4.00")]):
        page.write(25, 40 + 12 * i, label)
        page.write(60, 40 + 12 * i, ":")
        page.write(85, 40 + 12 * i, value)
    assert len(_core.find_layout(page.pixels).lines) == 9


def test_dots_above_each_other_that_part_no_texts_are_specks() -> None:
    page = RenderedPage()
    page.write(25, 40, "Total")
    page.write(60, 40, ":")
    page.write(25, 52, "Cash")
    page.write(60, 100, ":")
    assert len(_core.find_layout(page.pixels).lines) == 2


def dot_matrix(texts: Sequence[str], pitch_px: int, dot_px: int, lost: float) -> NDArray[np.uint8]:
    """Lines of a printer with pins: dots on a grid, a share of them lost, on noisy paper."""
    glyphs = Image.new("L", (230, 14 * len(texts) + 20), 255)
    for i, text in enumerate(texts):
        position = (20, 8 + 14 * i)
        ImageDraw.Draw(glyphs).text(position, text, font=ImageFont.load_default_imagefont(), fill=0)
    random = np.random.default_rng(3)
    page = np.full([pitch_px * side for side in np.shape(glyphs)], 235.0)
    for y, x in np.argwhere(np.asarray(glyphs) < 128) * pitch_px:
        if random.random() >= lost:
            page[y : y + dot_px, x : x + dot_px] = 90
    page += random.normal(0, 6, page.shape)
    return np.repeat(page.clip(0, 255).astype(np.uint8)[..., None], 3, 2)


@pytest.mark.parametrize(
    ("pitch_px", "dot_px", "lost"), [(3, 2, 0.0), (4, 3, 0.0), (3, 3, 0.3), (4, 4, 0.3)]
)
def test_print_of_dots_is_text(pitch_px: int, dot_px: int, lost: float) -> None:
    texts = ["GST NO: 000394528768", "RECEIPT #: CSP0388298", "SALESPERSON : AH002"]
    texts += ["SIMPLIFIED TAX INVOICE", "TEL: 012 - 6651783"]
    page = dot_matrix(texts, pitch_px, dot_px, lost)
    assert len(_core.find_layout(page).lines) == len(texts)


def test_a_picture_beside_text_is_told_and_gives_no_lines() -> None:
    page = RenderedPage()
    page.column(25, 30, 160, 6)
    page.column(110, 80, 75, 12)
    rng = np.random.default_rng(1)
    blots = Image.fromarray((rng.random((9, 7)) * 255).astype(np.uint8)).resize(
        (page.px(70), page.px(80)), Image.Resampling.BICUBIC
    )
    page.image.paste(blots.point(lambda v: 0 if v < 150 else 255), (page.px(25), page.px(75)))
    layout = _core.find_layout(page.pixels)
    assert len(layout.lines) == len(page.lines)
    assert layout.pictures.shape[0] >= 1
    left, top, right, bottom = box_of(layout.pictures[0])
    assert page.px(20) <= left
    assert right <= page.px(100)
    assert page.px(70) <= top
    assert bottom <= page.px(160)


def test_the_dark_border_of_a_scan_is_no_text() -> None:
    page = RenderedPage()
    page.column(30, 40, 150, 12)
    page.pen.polygon([(0, 0), (page.px(12), 0), (0, page.image.height)], fill=10)
    page.pen.rectangle((0, page.px(285), page.image.width, page.image.height), fill=0)
    assert len(_core.find_layout(page.pixels).lines) == len(page.lines)
