"""Rendered pages hold what their truth says where it says, and scores count what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

fonts = pytest.importorskip("fonts")
pytest.importorskip("rapidfuzz")
NEEDED = {name for name in fonts.HELD_OUT_FONTS if name not in fonts.font_paths()}
pytestmark = pytest.mark.skipif(
    bool(NEEDED), reason="needs the packages of models/nano/apt-packages.txt"
)


@pytest.mark.parametrize("kind", ["letter", "two columns", "form", "table", "receipt"])
def test_the_ink_of_every_word_is_in_its_box(kind: str) -> None:
    from rendered_pages import draw_page

    page = draw_page(kind, 100, 3)
    dark = np.asarray(page.image) < 128
    for piece in page.printed:
        assert len(piece.words) == len(piece.text.split())
        for left, top, right, bottom in piece.words:
            assert dark[int(top) : int(bottom) + 1, int(left) : int(right) + 1].any()
            dark[int(top) : int(bottom) + 1, int(left) - 1 : int(right) + 2] = False
    if kind not in ("form", "table"):  # whose rules are no text
        assert not dark.any()


def test_scores_are_those_of_a_reader_that_errs_once_a_page() -> None:
    import rendered_scores
    from rendered_pages import draw_page

    pages = [draw_page("receipt", 100, seed) for seed in range(2)]
    truths = {page.image.tobytes(): page for page in pages}

    def read(image: Any) -> rendered_scores.Reading:
        page = truths[image.tobytes()]
        boxes = tuple(piece.box for piece in page.printed)
        words = tuple(word for piece in page.printed for word in piece.words)
        return rendered_scores.Reading(page.text[1:], boxes, words)

    found = rendered_scores.score_upright(read, pages)
    n_characters = sum(len(page.text) for page in pages)
    assert found["character errors"]["total"] == pytest.approx(2 / n_characters)
    assert found["means"]["IoU of lines"] == pytest.approx(1)
    assert found["means"]["IoU of words"] == pytest.approx(1)


def test_pages_without_text_are_drawn_anew_from_each_seed() -> None:
    from rendered_damage import TEXTLESS

    for draw in TEXTLESS.values():
        one, same, other = (draw(np.random.default_rng(seed)).tobytes() for seed in (0, 0, 1))
        assert one == same != other
