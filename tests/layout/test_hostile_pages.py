"""Pages that are no pages: each ends soon, with a typed error or without lines."""

from __future__ import annotations

import numpy as np
import pytest
from crispvl import _core
from crispvl.errors import Cancelled
from own_kernels import kernels
from rendered import RenderedPage


def test_pixels_of_another_shape_are_refused() -> None:
    for shape in ((0, 4), (4, 4, 2), (4,), (1, 4, 4, 3)):
        with pytest.raises(ValueError, match=r"\[image\] expected \[height, width\]"):
            _core.find_layout(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(1, 1), (1, 30000), (3000, 3), (2, 2), (3, 40)])
def test_a_page_too_small_for_text_has_no_lines(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert _core.find_layout(noise).lines == []


def test_noise_and_checkerboards_end() -> None:
    rng = np.random.default_rng(2)
    checkerboard = (np.indices((1500, 1100)).sum(0) % 2 * 255).astype(np.uint8)
    pages = [checkerboard, rng.integers(0, 256, (1500, 1100), dtype=np.uint8)]
    pages += [((rng.random((1500, 1100)) < share) * 255).astype(np.uint8) for share in (0.02, 0.5)]
    for page in pages:
        _core.find_layout(page)


def test_a_cancelled_search_ends_with_its_error() -> None:
    token = _core.CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        _core.find_layout(RenderedPage().pixels, token)


@pytest.mark.skipif(kernels is None, reason="without the token that counts")
def test_a_search_asks_many_times_whether_it_is_cancelled() -> None:
    token = kernels.CountingToken()
    _core.find_layout(RenderedPage().pixels, token)
    assert token.n_looks >= 12


def test_a_hundred_thousand_specks_end_without_text() -> None:
    page = np.full((2200, 1700), 255, np.uint8)
    for y in range(3, 2190, 6):
        page[y : y + 3] = np.tile([0, 0, 0, 255, 255, 255], 284)[:1700]
    assert _core.find_layout(page).lines == []


def test_a_strip_of_no_height_or_no_length_is_refused() -> None:
    page = RenderedPage()
    page.write(20, 50, "one line")
    (line,) = _core.find_layout(page.pixels).lines
    with pytest.raises(ValueError, match=r"\[strip\] expected a height"):
        _core.cut_line(page.pixels, line, 0)
    with pytest.raises(ValueError, match=r"\[strip\] expected a height"):
        _core.cut_line(page.pixels, line, 26, 30.0, 30.0)


def test_the_same_page_has_the_same_layout() -> None:
    page = RenderedPage()
    page.column(20, 40, 160, 12)
    first, second = (_core.find_layout(page.pixels) for _ in range(2))
    for a, b in zip(first.lines, second.lines, strict=True):
        np.testing.assert_array_equal(a.quad, b.quad)
        np.testing.assert_array_equal(a.word_quads, b.word_quads)
