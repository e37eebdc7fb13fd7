"""Tiles of strips are drawn as the reader packs them, and labelled with what they show."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

fonts = pytest.importorskip("fonts")
NEEDED = {name for name in fonts.TRAIN_FONTS if name not in fonts.font_paths()}
LISTS = [Path("/usr/share/dict") / name for name in ("words", "french", "ngerman", "spanish")]
pytestmark = [
    pytest.mark.skipif(bool(NEEDED), reason="needs the packages of models/nano/apt-packages.txt"),
    pytest.mark.skipif(not Path("/usr/share/games/fortunes").exists(), reason="needs fortunes"),
    pytest.mark.skipif(not all(p.exists() for p in LISTS), reason="needs the word lists"),
]


def drawn(seed: int) -> object:
    from page import Page
    from strips import draw_strips

    page = Page(224, 224, (255, 255, 255), (0, 0, 0), random.Random(seed))
    draw_strips(page, fonts.TRAIN_FONTS)
    return page


def test_each_strip_has_a_line_of_the_answer_at_its_own_row_of_image_tokens() -> None:
    from strips import PITCH_PX, ROWS

    for seed in range(40):
        page = drawn(seed)
        assert 1 <= len(page.lines) <= ROWS
        rows = np.asarray(page.image.convert("L")).reshape(ROWS, PITCH_PX, -1)
        for row, text in enumerate(page.lines):
            if text:
                assert rows[row].min() < 250, (seed, row)
        assert (rows[len(page.lines) :] == 255).all(), seed


def test_the_characters_of_a_strip_are_within_its_row() -> None:
    from strips import LEFT_PX, MOST_PX, PITCH_PX

    for seed in range(40):
        page = drawn(seed)
        counts = [len(line.replace(" ", "")) for line in page.lines]
        boxes = iter(page.boxes)
        for row, count in enumerate(counts):
            for _ in range(count):
                _, left, top, right, bottom = next(boxes)
                assert row * PITCH_PX <= (top + bottom) / 2 < (row + 1) * PITCH_PX
                assert LEFT_PX - 2 <= left <= right <= LEFT_PX + MOST_PX + 2, (seed, row)
        assert next(boxes, None) is None


def test_some_strips_hold_nothing_to_read_and_keep_their_line() -> None:
    from synth import sample

    pages = [drawn(seed) for seed in range(200)]
    assert 0.01 < np.mean([not line for page in pages for line in page.lines]) < 0.06
    assert any(sample(seed).text.startswith("\n") for seed in range(400))


def test_strips_are_written_in_characters_that_the_dense_heads_know() -> None:
    import strip_texts
    from corpus import CHAR_CLASS

    rng = random.Random(7)
    for _ in range(300):
        words = strip_texts.words(rng)
        assert words
        assert all(word and set(word) <= CHAR_CLASS.keys() for word in words)


def test_a_truth_is_read_in_each_of_its_forms(tmp_path: Path) -> None:
    import real_pages

    (tmp_path / "a.csv").write_text("1,2,3,4,5,6,7,8,Total: 5,00\n9,9,9,9,9,9,9,9,THANK YOU\n")
    (tmp_path / "b.hocr").write_text("<span class='ocrx_word' title='bbox'>A&amp;B</span>")
    (tmp_path / "c.txt").write_text("one two\nthree")
    truths = [real_pages.Truth.beside(tmp_path / f"{name}.png") for name in "abc"]
    assert truths[0].words == ["TOTAL:", "5,00", "THANK", "YOU"]
    assert truths[0].upper
    assert truths[1].words == ["A&B"]
    assert truths[2].words == ["one", "two", "three"]
    assert truths[2].ordered


def test_words_count_wherever_they_are_and_characters_in_their_order() -> None:
    import real_pages

    truth = real_pages.Truth(["one", "two", "three"], ordered=True, upper=False)
    found = real_pages.score(truth, "two one", 1.0)
    assert (found.recall, found.precision) == (2 / 3, 1.0)
    assert found.character_errors is not None
    assert found.character_errors > 0.5
    assert real_pages.score(truth, "one two three", 1.0).character_errors == 0
