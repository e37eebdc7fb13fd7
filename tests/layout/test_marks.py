"""Dashes, quotes and commas are told by their ink and their place."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from crispvl import CrispOCR
from own_kernels import kernels
from rendered import RenderedPage

own = pytest.mark.skipif(kernels is None, reason="the module of what only tests call is not built")


def settled(text: str, gaps: Sequence[float] = ()) -> str:
    """Words of 20 px each, 8 px apart unless ``gaps`` tells otherwise; small letters are 10 px."""
    placed, at = [], 0.0
    for i, word in enumerate(text.split()):
        at += gaps[i] if i < len(gaps) else 8.0
        placed.append((word, at, at + 20.0))
        at += 20.0
    return " ".join(kernels.settled_marks(placed, 10.0))


def test_a_hyphen_by_itself_is_read_as_a_hyphen() -> None:
    page = RenderedPage(height_mm=70, dpi=150)
    page.write(25, 20, "Paris - London")
    page.column(25, 35, 100, n_lines=4)
    with CrispOCR(threads=1) as ocr:
        read = ocr.recognize(page.pixels, layout="lines")
    assert read.pages[0].lines[0].text == "Paris - London"


def test_a_lone_colon_is_read_between_a_label_and_its_value() -> None:
    page = RenderedPage(height_mm=70, dpi=150)
    for i, (label, value) in enumerate([("Total", "16.00"), ("Change", "4.00")]):
        page.write(25, 20 + 12 * i, label)
        page.write(60, 20 + 12 * i, ":")
        page.write(85, 20 + 12 * i, value)
    with CrispOCR(threads=1) as ocr:
        read = ocr.recognize(page.pixels, layout="lines")
    assert read.text.split() == ["Total", ":", "16.00", "Change", ":", "4.00"]
    colon = read.pages[0].lines[1]
    assert colon.text == ":"
    assert page.px(59) < colon.box[0] < colon.box[2] < page.px(63)


@own
@pytest.mark.parametrize("read", ["•", "*"])
def test_a_bullet_is_full_and_an_asterisk_is_not(read: str) -> None:
    assert kernels.is_bullet(read)
    assert kernels.bullet_shown(0.79) == "•"
    assert kernels.bullet_shown(0.45) == "*"


@own
@pytest.mark.parametrize(
    ("width", "height", "shown"), [(5, 2, "-"), (10, 2, "–"), (14, 12, ""), (30, 8, "–")]
)
def test_a_dash_is_as_long_as_its_ink(width: float, height: float, shown: str) -> None:
    assert kernels.dash_shown("–", width, height, 10) == shown


@own
@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ("original.“ Next", "original.” Next"),
        ('a “second question" was', "a “second question” was"),
        ('a "second question" was', 'a "second question" was'),
        ("“quoted” “again”", "“quoted” “again”"),
        ("„zitiert“ auf", "„zitiert“ auf"),
        ("a “ b", "a “ b"),
    ],
)
def test_a_quote_that_ends_a_word_closes(read: str, meant: str) -> None:
    assert settled(read) == meant


@own
def test_a_comma_belongs_to_the_word_it_touches_and_to_no_other() -> None:
    assert settled("end , more .") == "end, more."
    assert settled("end , more", [0, 30]) == "end , more"
    assert settled(", more") == ", more"
