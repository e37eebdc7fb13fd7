"""Finding out that a model has begun to repeat itself, from its tokens alone.

For every period p the detector counts for how many tokens in a row each token has equalled the one
p before it. Enough of them make a loop. Leader dots and rules repeat by nature, so what has neither
letters nor digits may go on for longer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_PERIOD = 256
"""Longest loop that is found, in tokens: a paragraph, or a dozen rows of a table."""

MIN_TOKENS = 128
"""Fewest tokens of a loop. Shorter repetition stands on real pages, and costs little time."""

SHORT_PERIOD, MIN_SHORT_TOKENS = 4, 64
"""Of loops of fewer tokens than a row of a table has, half as many are enough."""

MIN_COUNT = 8
"""Fewest times that something is said, unless it is long."""

LONG_PERIOD, MIN_LONG_COUNT = 48, 4
"""Whole sentences need fewer repetitions to be a loop."""

MIN_FILLER_TOKENS = 768
"""Fewest tokens of a loop without letters and digits: a page's worth of dots and bars."""


@dataclass(frozen=True)
class Loop:
    """A stretch that repeats: from token ``start`` on, each token equals the one a period before.

    What stands before ``start`` holds it once already.
    """

    start: int
    period: int
    count: int


class LoopDetector:
    """Looks at tokens as they come.

    Args:
        is_filler: Tells of a token whether its text has neither letters nor digits.
    """

    def __init__(self, is_filler: Callable[[int], bool]) -> None:
        self._is_filler = is_filler
        self._ids: list[int] = []
        self._recent: NDArray[np.int64] = np.full(MAX_PERIOD, -1, np.int64)  # [0] is the last token
        # [p - 1]: tokens that equal the one p before
        self._runs: NDArray[np.int64] = np.zeros(MAX_PERIOD, np.int64)

    def push(self, token_id: int) -> Loop | None:
        """Takes the next token and returns the loop that it completes, if it does."""
        self._runs = np.where(self._recent == token_id, self._runs + 1, 0)
        self._recent = np.concatenate([[token_id], self._recent[:-1]])
        self._ids.append(token_id)
        for i in np.flatnonzero(self._runs + _PERIODS >= _MIN_STRETCH):
            period, run = int(_PERIODS[i]), int(self._runs[i])
            is_filler = all(map(self._is_filler, self._ids[-period:]))
            if not is_filler or run + period >= MIN_FILLER_TOKENS:
                return Loop(len(self._ids) - run, period, (run + period) // period)
        return None

    @property
    def n_settled(self) -> int:
        """How many tokens no loop can take back any more, whatever comes next."""
        return len(self._ids) - int(self._runs.max())

    def rewind(self, n_tokens: int) -> None:
        """Forgets all but the first tokens."""
        kept = self._ids[:n_tokens]
        self._ids = []
        self._recent[:] = -1
        self._runs[:] = 0
        for token_id in kept:
            self.push(token_id)


_PERIODS = np.arange(1, MAX_PERIOD + 1)
_MIN_STRETCH = np.maximum(
    np.where(_PERIODS < SHORT_PERIOD, MIN_SHORT_TOKENS, MIN_TOKENS),
    _PERIODS * np.where(_PERIODS < LONG_PERIOD, MIN_COUNT, MIN_LONG_COUNT),
)
