"""How far an answer's row can be what its strip shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from crispvl.layout.rows import Row
from crispvl.layout.strips import Strip
from crispvl.layout.word_places import text_width

SURE = math.log(0.9)
"""Mean log-probability of a row's tokens from which on it is believed at once."""

LEAST_CHARACTER = math.log(0.4)
"""Log-probability under which a single character is worth a second look."""

LEAST_LINE = math.log(0.6)
"""Mean log-probability of a line's characters under which it is no text that the model knows: most
words of such lines are wrong, since dirt, pictures and handwriting are read as something too."""

LETTERS = 0.5, 2.2
"""Width of a usual letter, on average over a row, in x-heights: sure rows have 0.7 to 2."""

IMPLAUSIBLE = 2.0
"""Taken from the mean log-probability of a row that cannot be what its strip shows."""


@dataclass(frozen=True)
class Reading:
    """A row that was read for a strip.

    Attributes:
        row: What was read.
        fits: Whether its letters would be of a possible width; else it is another strip's.
        plausible: Whether the strip can show it, as far as its width and its words tell.
        doubtful: Whether it deserves to be read again.
    """

    row: Row
    fits: bool
    plausible: bool
    doubtful: bool

    @property
    def score(self) -> float:
        """Higher is surer: the mean log-probability, less what speaks against it."""
        return self.row.mean_logprob - (0.0 if self.plausible else IMPLAUSIBLE)


def judge(strip: Strip, row: Row, x_height: float) -> Reading:
    """Returns a row with what is to be thought of it.

    Args:
        strip: What was shown.
        row: What was read.
        x_height: Of the strip's line, px of the page.
    """
    fits = _fits(strip, row.text, x_height)
    n_read, n_shown = len(row.text.split()), len(strip.words)
    plausible = fits and row.ended and abs(n_read - n_shown) <= 1 + n_shown // 3
    unsure = row.mean_logprob < SURE or min(row.sureness, default=0.0) < LEAST_CHARACTER
    return Reading(row, fits, plausible, doubtful=unsure or not plausible)


def is_credible(text: str, logprob: float) -> bool:
    """Returns whether a line is credible, or is rather no text at all.

    Rules, frames and specks are read as signs; so a line of only signs has to be sure.

    Args:
        text: Of the line.
        logprob: Mean over its characters.
    """
    has_words = any(character.isalnum() for character in text)
    return logprob >= (LEAST_LINE if has_words else SURE)


def _fits(strip: Strip, text: str, x_height: float) -> bool:
    if not text:
        return strip.width < 2 * x_height
    ink = sum(end - start for start, end in strip.words)
    letter = ink / (x_height * text_width(text.replace(" ", "")))
    narrowest = LETTERS[0] / 2 if len(text) == 1 else LETTERS[0]
    return narrowest <= letter <= LETTERS[1]
