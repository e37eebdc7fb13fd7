"""Lines become strips that fit on tiles, answers become rows, rows become lines again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from crispvl._core import LayoutLine, find_layout, visual_spans
from crispvl.errors import ModelFileError
from crispvl.layout.doubt import judge
from crispvl.layout.drawn_pages import DRAWN_SCALE, is_drawn
from crispvl.layout.joining import ReadLine
from crispvl.layout.page_strips import PageStrips
from crispvl.layout.rows import Row, split_rows
from crispvl.layout.strip_format import STRIP_KEYS, StripFormat, strip_format
from crispvl.layout.strips import Strip, cut_into_strips, make_tile
from crispvl.layout.word_places import place_words
from crispvl.model_config import ModelConfig
from rendered import RenderedPage

FORM = StripFormat(tile_px=224, n_rows=8, pitch_px=28, height_px=26, left_px=6)


def _config(tile_px: int, tokens_per_tile: int) -> ModelConfig:
    vision = {"tile_px": tile_px, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    projector = {"tokens_per_tile": tokens_per_tile, "width": 8}
    return ModelConfig({"vision": vision, "projector": projector})


def _rows(*texts: str) -> list[Row]:
    rows = [Row(text=text, sureness=[-0.01] * len(text), ended=True) for text in texts]
    for row in rows:
        row.ids, row.logprobs, row.pieces = [1], [-0.01], [row.text]
    return rows


def test_strips_of_a_published_model_follow_its_rows_of_image_tokens() -> None:
    form = strip_format(_config(448, 256), {})
    assert (form.n_rows, form.pitch_px, form.height_px) == (16, 28, 26)
    assert form.width_px == 448 - 2 * form.left_px


def test_strips_follow_what_the_file_says() -> None:
    said = dict(zip(STRIP_KEYS.values(), (5, 40, 36, 4, 12), strict=True))
    form = strip_format(_config(224, 64), said)
    assert form.as_tuple()[1:] == (5, 40, 36, 4, 12)


@pytest.mark.parametrize("said", [{"n_rows": 9}, {"pitch_px": 0}, {"height_px": 400}])
def test_strips_that_do_not_fit_the_tile_are_refused(said: dict[str, int]) -> None:
    metadata = {STRIP_KEYS[name]: value for name, value in said.items()}
    with pytest.raises(ModelFileError, match=r"\[crispvl.strips\]"):
        strip_format(_config(224, 64), metadata)


@pytest.fixture(scope="module")
def page() -> RenderedPage:
    page = RenderedPage(dpi=150)
    page.column(20, 30, 170, n_lines=6)
    page.write(20, 80, "W" * 60)
    page.write(20, 90, "Incomprehensibilities")
    return page


def test_every_word_is_on_one_strip_and_every_strip_on_a_tile(page: RenderedPage) -> None:
    layout = find_layout(page.pixels)
    for i_line, line in enumerate(layout.lines):
        strips = cut_into_strips(page.pixels, i_line, line, FORM)
        words = [word for strip in strips if not strip.within_word for word in strip.words]
        assert len(words) == len(line.words)
        for strip in strips:
            tile = make_tile(page.pixels, layout.lines, [strip], FORM).pixels
            assert tile.shape == (224, 224, 3)
            assert (tile[:, FORM.tile_px - FORM.left_px :] == 255).all()
            assert (tile[FORM.pitch_px :] == 255).all()


def test_a_word_wider_than_a_tile_is_cut_between_letters(page: RenderedPage) -> None:
    layout = find_layout(page.pixels)
    i_line = next(i for i, line in enumerate(layout.lines) if len(line.words) == 1)
    strips = cut_into_strips(page.pixels, i_line, layout.lines[i_line], FORM)
    assert len(strips) > 1
    assert [strip.within_word for strip in strips] == [False] + [True] * (len(strips) - 1)
    for left, right in itertools.pairwise(strips):
        assert left.x_to == right.x_from
        tile = make_tile(page.pixels, layout.lines, [left], FORM).pixels
        columns = np.flatnonzero((tile[:26] < 128).any(axis=(0, 2)))
        assert columns[-1] < FORM.tile_px - FORM.left_px - 1  # the last letter is whole


def _form_for(line: LayoutLine, rows: float) -> StripFormat:
    """Tiles on which a line takes a given number of rows."""
    length = float(line.words[-1, 1]) * FORM.height_px / line.band_px  # of the tile
    return replace(FORM, tile_px=round(length / rows) + 2 * FORM.left_px + 6)


def test_a_line_is_shown_lower_where_it_then_takes_fewer_strips(page: RenderedPage) -> None:
    line = find_layout(page.pixels).lines[0]
    (strip,) = cut_into_strips(page.pixels, 0, line, _form_for(line, 1.1), 0.8)
    assert 0.85 < strip.scale < 0.95
    assert len(cut_into_strips(page.pixels, 0, line, _form_for(line, 1.1))) == 2
    assert len(cut_into_strips(page.pixels, 0, line, _form_for(line, 1.4), 0.8)) == 2


def test_pages_that_were_scanned_or_thresholded_are_told_from_drawn_ones(
    page: RenderedPage,
) -> None:
    drawn = np.asarray(page.image)
    noise = np.random.default_rng(0).normal(0, 3, drawn.shape)
    assert is_drawn(drawn)
    assert not is_drawn((drawn + noise).clip(0, 255).astype(np.uint8))
    assert not is_drawn(np.where(drawn > 128, 255, 0).astype(np.uint8))
    assert not is_drawn(np.full((50, 50), 255, np.uint8))


def test_a_strip_is_widened_as_far_as_there_is_room(page: RenderedPage) -> None:
    lines = find_layout(page.pixels).lines
    start, end = map(float, lines[0].words[0])
    strip = Strip(0, start, end, ((start, end),), 0)
    widths = []
    for stretch in (1.0, 1.5, 100.0):
        tile = make_tile(page.pixels, lines, [strip], FORM, 0.9, stretch).pixels
        columns = np.flatnonzero((tile < 128).any(axis=(0, 2)))
        widths.append(columns[-1] - columns[0])
    assert widths[1] == pytest.approx(1.5 * widths[0], abs=3)
    assert widths[2] == pytest.approx(FORM.width_px - 6, abs=8)


def test_rows_keep_their_tokens_and_how_sure_each_character_is() -> None:
    tokens = [(5, -0.1, "ab"), (6, -0.2, " "), (7, -0.3, "c\nd"), (8, -0.4, ""), (9, -0.5, "é ")]
    first, second = split_rows(tokens)
    assert (first.text, first.ids, first.ended) == ("ab c", [5, 6, 7], True)
    assert first.sureness == [-0.1, -0.1, -0.2, -0.3]
    assert (second.text, second.ids, second.ended) == ("dé", [8, 9], False)
    assert second.sureness == [-0.3, -0.5]


def _line_read(page: RenderedPage, answers: Sequence[Sequence[str]]) -> ReadLine:
    """The page's first line, for whose first strips these tokens were read."""
    strips = PageStrips(page.pixels, find_layout(page.pixels).lines, FORM)
    for number, pieces in enumerate(answers):
        tokens = [(10 * number + i, -0.01 * (i + 1), piece) for i, piece in enumerate(pieces)]
        strips.take([[number]], split_rows(tokens), whole=True)
    return strips.join(0)


ENGLISH = (("th", "e", " quick", " br", "own", "\n"), ("fox", " jumps", " over", "\n"))
HEBREW = (("אאאאא", " בב", "בבב", " גגג", "\n"), ("דדד", "ד", " ההההה", " ווו", "\n"))


@pytest.mark.parametrize(
    ("answers", "n_tokens", "text", "ids"),
    [
        (ENGLISH, 0, "", []),
        (ENGLISH, 1, "th", [0]),
        (ENGLISH, 2, "the", [0, 1]),
        (ENGLISH, 4, "the quick", [0, 1, 2]),
        (ENGLISH, 6, "the quick brown", [0, 1, 2, 3, 4]),
        (ENGLISH, 7, "the quick brown fox", [0, 1, 2, 3, 4, 5, 10]),
        (ENGLISH, 9, "the quick brown fox jumps over", [0, 1, 2, 3, 4, 5, 10, 11, 12]),
        (HEBREW, 1, "דדד", [10]),
        (HEBREW, 3, "דדדד ההההה", [10, 11, 12]),
        (HEBREW, 7, "דדדד ההההה ווו אאאאא", [0, 10, 11, 12, 13, 14]),
    ],
)
def test_the_beginning_of_a_line_is_its_words_that_fit(
    page: RenderedPage, answers: Sequence[Sequence[str]], n_tokens: int, text: str, ids: list[int]
) -> None:
    whole = _line_read(page, answers)
    line = whole.beginning(n_tokens)
    assert line.text == text
    assert [token_id for row in line.rows for token_id in row.ids] == ids
    assert line.n_tokens == sum(len(row.logprobs) for row in line.rows) == len(ids)
    assert {word for row in line.rows for word in row.text.split()} == set(text.split())
    assert all(len(row.sureness) == len(row.text) for row in line.rows)


@pytest.mark.parametrize(("answers", "side"), [(ENGLISH, max), (HEBREW, min)])
def test_the_beginning_of_a_line_ends_with_its_last_word(
    page: RenderedPage, answers: Sequence[Sequence[str]], side: Callable[[list[float]], float]
) -> None:
    whole = _line_read(page, answers)
    line = whole.beginning(3)
    assert [word.quad for word in line.words] == [word.quad for word in whole.words[:2]]
    end = side([x for x, _ in line.words[-1].quad])
    assert side([x for x, _ in line.quad]) == pytest.approx(end, abs=0.1)
    assert line.quad[0][1] == pytest.approx(whole.quad[0][1], abs=1)
    sure = [sureness for row in line.rows for sureness in row.sureness]
    assert line.logprob == pytest.approx(sum(sure) / len(sure))
    assert line.logprob > whole.logprob


def test_an_answer_with_another_number_of_rows_is_given_to_no_strip(page: RenderedPage) -> None:
    strips = PageStrips(page.pixels, find_layout(page.pixels).lines, FORM)
    wanted = strips.doubtful()
    strips.take([[i] for i in wanted[:3]], _rows("one", "two"), whole=True)
    strips.take([[i] for i in wanted[3:5]], _rows("one", "two"), whole=False)
    assert strips.doubtful() == wanted == strips.unread()


def test_the_surer_of_two_readings_stays(page: RenderedPage) -> None:
    strips = PageStrips(page.pixels, find_layout(page.pixels).lines, FORM)
    sure, unsure = _rows("the quick brown"), _rows("thc qvick brovvn")
    unsure[0].logprobs = [-1.0]
    first = strips.doubtful()[0]
    for rows in (unsure, sure, unsure):
        strips.take([[first]], rows, whole=True)
    assert strips.join(0).text.startswith("the quick brown")
    assert first not in strips.doubtful()


@pytest.mark.parametrize(
    ("text", "plausible"),
    [
        ("two words", True),
        ("000000000000000000000000000000000000000000000000", False),
        ("", False),
        ("a b c d e f g", False),
        ("1", False),
        ("two words of another strip", False),
    ],
)
def test_a_row_that_its_strip_cannot_show_is_doubted(text: str, plausible: bool) -> None:
    strip = Strip(0, 0.0, 110.0, ((0.0, 45.0), (55.0, 110.0)), 0)
    (row,) = _rows(text)
    reading = judge(strip, row, x_height=12.0)
    assert (reading.plausible, reading.doubtful) == (plausible, not plausible)


@pytest.mark.parametrize(
    ("text", "logprob", "n_words"),
    [
        ("two words", -0.2, 2),
        ("two words", -0.7, 0),
        ("=== =====", -0.2, 0),
        ("=== =====", -0.05, 2),
    ],
)
def test_a_line_that_is_hardly_text_has_no_words(
    page: RenderedPage, text: str, logprob: float, n_words: int
) -> None:
    strips = PageStrips(page.pixels, find_layout(page.pixels).lines, FORM)
    (row,) = _rows(text)
    row.sureness = [logprob] * len(text)
    strips.take([strips.doubtful()[:1]], [row], whole=True)
    assert len(strips.join(0).words) == n_words


def test_a_row_that_cannot_be_on_its_ink_is_left_out(page: RenderedPage) -> None:
    strips = PageStrips(page.pixels, find_layout(page.pixels).lines, FORM)
    for text, n_words in (("i", 0), ("the quick brown", 3)):
        strips.take([strips.doubtful()[:1]], _rows(text), whole=True)
        assert len(strips.join(0).words) == n_words


def test_words_go_to_their_ink_where_both_are_as_many() -> None:
    places = place_words(["a", "long", "b"], [(0, 10), (20, 60), (70, 80)])
    assert [(place.start, place.end) for place in places] == [(0, 10), (20, 60), (70, 80)]


def test_ink_that_runs_together_is_parted_and_parted_ink_joined() -> None:
    together = place_words(["one", "two", "three"], [(0, 65), (75, 125)])
    assert [(place.first, place.last) for place in together] == [(0, 0), (0, 0), (1, 1)]
    assert 25 < together[0].end <= together[1].start < 40
    parted = place_words(["once", "again"], [(0, 18), (22, 40), (50, 95)])
    assert [(place.first, place.last) for place in parted] == [(0, 1), (2, 2)]
    assert (parted[0].start, parted[0].end) == (0, 40)


@pytest.mark.parametrize("n_words", [1, 7])
@pytest.mark.parametrize("n_ink", [1, 5])
def test_every_word_has_a_place_within_the_line(n_words: int, n_ink: int) -> None:
    ink = [(20.0 * i, 20.0 * i + 15) for i in range(n_ink)]
    places = place_words(["word"] * n_words, ink)
    assert len(places) == n_words
    assert all(0 <= place.start < place.end <= ink[-1][1] + 1e-6 for place in places)
    assert places == sorted(places, key=lambda place: place.start)
    assert not math.isnan(places[0].start)


def test_words_that_run_from_right_to_left_are_placed_from_the_right(page: RenderedPage) -> None:
    layout = find_layout(page.pixels).lines
    n_words = len(layout[0].words)
    size = layout[0].x_height_px
    for letter, is_mirrored in (("o", False), ("ש", True)):
        strips = PageStrips(page.pixels, layout, FORM)
        of_line = cut_into_strips(page.pixels, 0, layout[0], FORM, DRAWN_SCALE)
        texts = [
            " ".join(letter * max(1, round((end - start) / size)) for start, end in strip.words)
            for strip in of_line
        ]
        strips.take([[i] for i in range(len(of_line))], _rows(*texts), whole=True)
        lefts = [word.quad[0][0] for word in strips.join(0).words]
        assert len(lefts) == n_words
        assert lefts == sorted(lefts, reverse=is_mirrored)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("two words", [(0, 3), (4, 9)]),
        ("", []),
        ("שלום עולם", [(5, 9), (0, 4)]),
        ("total 12 שלום 34 עולם!", [(0, 5), (6, 8), (18, 22), (15, 17), (9, 14)]),
        ("סכום (12.50) USD 3", [(14, 18), (6, 13), (0, 3), (4, 5)]),
        ("مرحبا ab 7 cd بك", [(11, 16), (3, 5), (6, 7), (8, 10), (0, 2)]),
    ],
)
def test_words_are_shown_where_unicode_puts_them(text: str, columns: list[tuple[int, int]]) -> None:
    assert visual_spans(text) == columns


DENSE = replace(FORM, gap_px=16)


@pytest.fixture
def short_lines() -> PageStrips:
    page = RenderedPage(dpi=150)
    for i, text in enumerate(["tea", "some longer article", "2 cups", "1.80"]):
        page.write(20, 30 + 10 * i, text)
    return PageStrips(page.pixels, find_layout(page.pixels).lines, DENSE)


def _answer(text: str) -> list[Row]:
    """The rows of an answer with a token for each character."""
    return split_rows([(ord(char), -0.01, char) for char in text])


def test_short_strips_share_a_row_where_the_model_reads_them_so(short_lines: PageStrips) -> None:
    first, *later = short_lines.looks
    assert short_lines.shown_to(first) == [[[0, 2], [1], [3]]]
    for look in later:
        assert all(len(row) == 1 for tile in short_lines.shown_to(look) for row in tile)


def test_strips_of_a_row_are_apart_on_their_tile(short_lines: PageStrips) -> None:
    pixels = short_lines.tile([[0, 2]], short_lines.looks[0]).pixels
    inked = np.flatnonzero((pixels[: DENSE.pitch_px] < 128).any(axis=(0, 2)))
    assert np.diff(inked).max() >= DENSE.gap_px


def test_words_of_a_shared_row_go_to_their_strips(short_lines: PageStrips) -> None:
    rows = _answer("tea 2 cups\nsome longer article\n1.80\n")
    short_lines.take([[0, 2], [1], [3]], rows, whole=True)
    lines = [short_lines.join(i) for i in range(4)]
    assert [line.text for line in lines] == ["tea", "some longer article", "2 cups", "1.80"]
    pieces = ["".join(line.rows[0].pieces) for line in lines]
    assert pieces == ["tea", "some longer article\n", " 2 cups\n", "1.80\n"]
    assert short_lines.doubtful() == []


@pytest.mark.parametrize("text", ["tea", "tea2cups", "שלום 2 cups", ""])
def test_strips_are_read_again_where_a_row_does_not_tell_which_word_is_whose(
    short_lines: PageStrips, text: str
) -> None:
    short_lines.take([[0, 2]], _answer(text), whole=True)
    assert short_lines.doubtful() == [0, 1, 2, 3]
