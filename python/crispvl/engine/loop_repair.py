"""Bringing a model out of a loop: take the loop back, then try again, each time more freely."""

from __future__ import annotations

from crispvl.engine.loop_detector import Loop, LoopDetector
from crispvl.options import GenerateOptions
from crispvl.prompts.vocabulary import Vocabulary
from crispvl.results.generation import Repair

TEMPERATURES = (0.3, 0.6, 0.9, 1.2)
"""Of the attempts at one place. Greedy decoding would only repeat itself once more."""

MIN_WARM_TOKENS = 16
"""Fewest tokens that an attempt writes at its temperature before the caller's own returns."""

SAME_PLACE_TOKENS = 64
"""Loops that begin this close to each other count as one place."""

MAX_REPAIRS = 16
"""Of one answer, however many places it has: a bound on the time that repair takes."""


class LoopWatch:
    """Watches an answer's tokens and decides how each loop is met.

    Args:
        vocabulary: Tells dots and bars from letters and digits.
        options: The caller's sampling.
    """

    def __init__(self, vocabulary: Vocabulary, options: GenerateOptions) -> None:
        self._detector = LoopDetector(vocabulary.is_filler)
        self._temperature = options.temperature
        self._seed = options.seed
        self._warm_until = 0
        self.repairs: list[Repair] = []

    def push(self, token_id: int) -> Loop | None:
        """Takes the next token and returns the loop that it completes, if it does."""
        return self._detector.push(token_id)

    @property
    def n_settled(self) -> int:
        """How many tokens are not going to be taken back."""
        return self._detector.n_settled

    def take_back(self, loop: Loop, start: int, n_tokens: int) -> bool:
        """Notes a loop, and returns whether the answer is to be tried again from there.

        Args:
            loop: What was found.
            start: How many tokens are kept.
            n_tokens: How many there were.
        """
        here = [r for r in self.repairs if abs(r.start - start) <= SAME_PLACE_TOKENS]
        left = len(here) < len(TEMPERATURES) and len(self.repairs) < MAX_REPAIRS
        warmth = TEMPERATURES[len(here)] if left else None
        self.repairs.append(
            Repair(
                start=start,
                period=loop.period,
                count=loop.count,
                n_removed=n_tokens - start,
                temperature=None if warmth is None else max(warmth, self._temperature),
            )
        )
        self._detector.rewind(start)
        self._warm_until = start + max(loop.period, MIN_WARM_TOKENS)
        return left

    def sampling(self, n_tokens: int) -> tuple[float, int]:
        """Returns temperature and seed for the token after this many."""
        if self.repairs and n_tokens < self._warm_until:
            temperature = self.repairs[-1].temperature
            assert temperature is not None
            return temperature, (self._seed + len(self.repairs)) % (1 << 64)
        return self._temperature, self._seed
