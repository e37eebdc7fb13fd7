"""Finding out that a model has begun to repeat itself, from its tokens only.

For every period p the detector counts for how many tokens in a row each token has equalled the one
p before it. Enough of them make a loop. Leader dots and rules repeat by nature, so what has neither
letters nor digits may go on for longer.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

MAX_PERIOD = 256
"""Longest loop that is found, in tokens: a paragraph, or a dozen rows of a table."""

MIN_TOKENS = 128
"""Fewest tokens of a loop. Shorter repetition occurs on real pages, and costs little time."""

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

    What comes before ``start`` holds it once already.
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
        self._places: defaultdict[int, deque[int]] = defaultdict(deque)
        """Where each token was, among the last `MAX_PERIOD`."""
        self._runs: dict[int, int] = {}
        """By period: tokens up to the last that equal the one a period before."""
        self._longest = 0

    def push(self, token_id: int) -> Loop | None:
        """Takes the next token and returns the loop that it completes, if it does."""
        n_tokens = len(self._ids)
        places = self._places[token_id]
        while places and n_tokens - places[0] > MAX_PERIOD:
            places.popleft()
        before = self._runs.get
        self._runs = {n_tokens - i: before(n_tokens - i, 0) + 1 for i in reversed(places)}
        self._longest = max(self._runs.values(), default=0)
        places.append(n_tokens)
        self._ids.append(token_id)
        return self._completed() if self._longest >= _MIN_RUN else None

    def _completed(self) -> Loop | None:
        for period, run in self._runs.items():  # the shortest first
            if run + period < _MIN_STRETCH[period]:
                continue
            is_filler = all(map(self._is_filler, self._ids[-period:]))
            if not is_filler or run + period >= MIN_FILLER_TOKENS:
                return Loop(len(self._ids) - run, period, (run + period) // period)
        return None

    @property
    def n_settled(self) -> int:
        """How many tokens no loop can take back any more, whatever comes next."""
        return len(self._ids) - self._longest

    def rewind(self, n_tokens: int) -> None:
        """Forgets all but the first tokens."""
        kept = self._ids[:n_tokens] if n_tokens else []
        self._ids, self._places, self._runs = [], defaultdict(deque), {}
        self._longest = 0
        for token_id in kept:
            self.push(token_id)


def _min_stretch(period: int) -> int:
    """Returns the fewest tokens of a loop, the first time included."""
    min_tokens = MIN_SHORT_TOKENS if period < SHORT_PERIOD else MIN_TOKENS
    return max(min_tokens, period * (MIN_COUNT if period < LONG_PERIOD else MIN_LONG_COUNT))


_MIN_STRETCH = [_min_stretch(period) for period in range(MAX_PERIOD + 1)]
_MIN_RUN = min(_MIN_STRETCH[period] - period for period in range(1, MAX_PERIOD + 1))
