"""The training pages of the bundled model are labelled with what they show."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

fonts = pytest.importorskip("fonts")
NEEDED = {name for name in fonts.TRAIN_FONTS if name not in fonts.font_paths()}
pytestmark = [
    pytest.mark.skipif(bool(NEEDED), reason="needs the packages of models/nano/apt-packages.txt"),
    pytest.mark.skipif(not Path("/usr/share/games/fortunes").exists(), reason="needs fortunes"),
    pytest.mark.skipif(not Path("/usr/share/dict/words").exists(), reason="needs a word list"),
]


def test_no_font_of_the_test_is_trained_on() -> None:
    assert not [n for n in fonts.TRAIN_FONTS if n.startswith(fonts.HELD_OUT_PREFIXES)]


@pytest.mark.parametrize("grid", [(1, 1), (2, 2), (3, 2)])
def test_a_character_is_in_the_tile_and_cell_that_are_said_to_hold_it(
    grid: tuple[int, int],
) -> None:
    from corpus import CHAR_CLASS
    from synth import N_SLOTS, NOWHERE, sample

    drawn = 0
    for seed in range(12):
        page = sample(seed, grid)
        cells = page.slots.reshape(-1, N_SLOTS)
        for char, source in zip(page.text, page.sources, strict=True):
            if source == NOWHERE or cells[source].all():  # a full cell may have left it out
                continue
            drawn += 1
            assert CHAR_CLASS[char] in cells[source], (seed, char)
    assert drawn > 100


def test_all_that_is_drawn_has_a_source() -> None:
    from synth import NOWHERE, sample

    for seed in range(12):
        page = sample(seed, (2, 1))
        for char, source in zip(page.text, page.sources, strict=True):
            assert (source == NOWHERE) == (char in " \n•"), (seed, char)


def test_labels_move_with_a_tilted_page() -> None:
    from page import Page
    from synth import photograph

    style = fonts.face("DejaVuSans-Bold", 24)
    for seed in range(20):
        rng = random.Random(seed)
        page = Page(300, 240, (255, 255, 255), (0, 0, 0), rng)
        x, y = rng.uniform(20, 250), rng.uniform(20, 190)
        page.write(x, y, "o", style)
        before = ink_centre(page.image)
        box = np.array(page.boxes[0][1:])
        after = ink_centre(photograph(page, rng))
        moved = (np.array(page.boxes[0][1:]) - box).reshape(2, 2).mean(0)
        assert np.abs(after - before - moved).max() < 0.5, seed


def ink_centre(image: object) -> np.ndarray:
    ink = 255.0 - np.asarray(image, np.float64).mean(-1)
    rows, columns = np.indices(ink.shape)
    return np.array([(columns * ink).sum(), (rows * ink).sum()]) / ink.sum()


def test_a_markdown_page_is_written_with_marks() -> None:
    from synth import sample

    texts = [sample(seed, (2, 2), "Markdown").text for seed in range(30)]
    assert any(text.startswith("# ") for text in texts)
    assert any("\n- " in text for text in texts)
    tables = [text for text in texts if "|---|" in text]
    assert tables
    for text in tables:
        rows = [line for line in text.split("\n\n")[-1].splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) <= 1, text


def test_a_plain_page_has_no_empty_lines() -> None:
    from synth import sample

    assert not any("\n\n" in sample(seed, (2, 1)).text for seed in range(30))


def test_recurring_text_is_made_of_whole_phrases() -> None:
    import corpus

    rng = random.Random(3)
    pieces = corpus.phrases(rng)
    rest = corpus.recurring(rng, 60, pieces)
    assert len(rest) >= 60
    assert all(1 <= len(piece) <= 5 for piece in pieces)
    while rest:
        piece = next(p for p in sorted(pieces, key=len, reverse=True) if rest[: len(p)] == p)
        rest = rest[len(piece) :]


def test_scattered_words_fit_the_page_and_their_columns() -> None:
    import layouts
    from page import Page

    for seed in range(20):
        page = Page(672, 448, (255, 255, 255), (0, 0, 0), random.Random(seed))
        layouts.scattered(page, 12.0, fonts.TRAIN_FONTS)
        assert len(page.lines) > 1
        for _, left, _, right, bottom in page.boxes:
            assert 0 <= left < right <= page.width + 1, seed
            assert bottom <= page.height + 1, seed
