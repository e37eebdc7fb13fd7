"""Later looks begin early, and show the same tiles as if they did not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from crispvl._core import find_layout
from crispvl.layout.page_strips import PageStrips
from crispvl.layout.rows import Row
from crispvl.layout.strip_format import StripFormat
from crispvl.layout.tile_queue import TileQueue
from rendered import RenderedPage

FORM = StripFormat(tile_px=224, n_rows=8, pitch_px=28, height_px=26, left_px=6)
TEXT = "the quick brown fox"
N_LINES = 40

Answer = Callable[[int, Sequence[Sequence[int]]], list[Row]]
Tiles = list[tuple[int, Sequence[Sequence[int]]]]


@pytest.fixture(scope="module")
def page() -> RenderedPage:
    page = RenderedPage(dpi=150)
    for i in range(N_LINES):
        page.write(20, 15 + 6 * i, TEXT)
    return page


def _strips(page: RenderedPage) -> PageStrips:
    return PageStrips(page.pixels, find_layout(page.pixels).lines, FORM)


def _row(logprob: float, text: str = TEXT) -> Row:
    row = Row(text=text, sureness=[logprob] * len(text), ended=True)
    row.ids, row.logprobs, row.pieces = [1], [logprob], [text]
    return row


def _doubted_by(period: int) -> Answer:
    """An answer in which every so many strips are read in doubt, or not at all."""

    def answer(i_look: int, rows: Sequence[Sequence[int]]) -> list[Row]:
        if i_look == 0 and rows[0][0] % 3 == 0:
            return []  # of no use: all strips of this tile are to be read again
        read = []
        for (number,) in rows:
            is_lost = number % (period + 1) == 0
            logprob = -0.5 if (number + i_look) % period == 0 else -0.001
            read.append(_row(logprob, "000000000000000000000000000" if is_lost else TEXT))
        return read

    return answer


def _one_after_the_other(strips: PageStrips, answer: Answer) -> Tiles:
    tiles: Tiles = []
    for i_look, look in enumerate(strips.looks):
        shown = strips.shown_to(look)
        tiles += [(i_look, rows) for rows in shown]
        for rows in shown:
            strips.take(rows, answer(i_look, rows), whole=True)
    return tiles


def _queued(strips: PageStrips, answer: Answer, n_ahead: int) -> Tiles:
    queue = TileQueue(strips)
    tiles: Tiles = []
    n_answered = 0
    while True:
        while len(tiles) < n_answered + n_ahead and (tile := queue.next()):
            tiles.append((tile.i_look, tile.rows))
        if n_answered == len(tiles):
            assert queue.n_tiles == len(tiles)
            return tiles
        queue.take(n_answered, answer(*tiles[n_answered]), whole=True)
        n_answered += 1


@pytest.mark.parametrize("n_ahead", [1, 3, 64])
@pytest.mark.parametrize("period", [1, 2, 3, 7, 1000])
def test_tiles_are_those_of_one_look_after_the_other(
    page: RenderedPage, period: int, n_ahead: int
) -> None:
    answer = _doubted_by(period)
    expected, found = _strips(page), _strips(page)
    tiles = _one_after_the_other(expected, answer)
    assert sorted(_queued(found, answer, n_ahead)) == sorted(tiles)
    assert found.doubtful() == expected.doubtful()


def test_a_later_look_does_not_wait_for_the_last_answer_of_the_one_before(
    page: RenderedPage,
) -> None:
    queue, answer = TileQueue(_strips(page)), _doubted_by(1)
    first_look = []
    while tile := queue.next():
        first_look.append(tile)
    for i, tile in enumerate(first_look[:-1]):
        queue.take(i, answer(0, tile.rows), whole=True)
    later = queue.next()
    assert later is not None
    assert later.i_look == 1


def test_a_page_without_lines_has_no_tile() -> None:
    strips = PageStrips(RenderedPage(dpi=100).pixels, [], FORM)
    assert TileQueue(strips).next() is None
