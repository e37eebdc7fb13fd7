"""Guessing the next tokens from what was written already: prompt-lookup decoding.

Tables, forms and questions about a text repeat the prompt or the answer itself. Where the last
tokens stood before, what followed them then is a guess that costs nothing to make, and several
guesses are checked in one pass over the weights (arXiv 2211.17192 with a lookup for a draft model).
"""

from __future__ import annotations

from collections.abc import Iterable

N_GRAMS = (6, 3)
"""Numbers of tokens that must have stood in a row before, the best first; fewer tell too little."""

MAX_DRAFT = 8
"""Most tokens that are guessed at once."""

ROW_COST = 0.4
"""What a further row adds to a pass, at most, as a share of a pass of one row."""

PAUSE_TOKENS = 32
"""Tokens without guesses after they were wrong too often."""

_FIRST_TRUST = 0.65  # begins with guesses of two tokens
_MEMORY = 0.8  # weight of the past against one more guess


class Drafter:
    """Follows a text token by token and guesses how it goes on.

    It trusts itself as far as its guesses were right: a guess of k tokens is worth making while the
    chance of the last one, trust**k, is over what its row costs. Where not even one token is worth
    it, it pauses.

    Args:
        ids: The text so far.
    """

    def __init__(self, ids: Iterable[int]) -> None:
        self._ids: list[int] = []
        self._ends: dict[tuple[int, ...], int] = {}  # behind an n-gram's last occurrence
        self._match: int | None = None
        self._trust = _FIRST_TRUST
        self._paused_until = 0
        for token_id in ids:
            self.push(token_id)

    def push(self, token_id: int) -> None:
        """Takes the next token."""
        self._ids.append(token_id)
        keys = [tuple(self._ids[-n:]) for n in N_GRAMS if len(self._ids) >= n]
        self._match = next((self._ends[key] for key in keys if key in self._ends), None)
        self._ends.update(dict.fromkeys(keys, len(self._ids)))

    def rewind(self, n_tokens: int) -> None:
        """Forgets all but the first tokens."""
        kept = self._ids[:n_tokens]
        self._ids, self._ends = [], {}
        for token_id in kept:
            self.push(token_id)

    def draft(self, n_most: int) -> list[int]:
        """Returns guesses of the next tokens, as many at most as there is room for."""
        if self._match is None or len(self._ids) < self._paused_until:
            return []
        n_worth = 0
        while n_worth < min(n_most, MAX_DRAFT) and self._trust ** (n_worth + 1) > ROW_COST:
            n_worth += 1
        # What followed then may run into what is being guessed: a loop goes on.
        followed = self._ids[self._match :]
        return [followed[i % len(followed)] for i in range(n_worth)] if followed else []

    def learn(self, n_right: int, n_guessed: int) -> None:
        """Takes notice of how many of its last guesses were right, up to the first wrong one."""
        for is_right in [True] * n_right + [False] * (n_right < n_guessed):
            self._trust = _MEMORY * self._trust + (1 - _MEMORY) * is_right
        if self._trust <= ROW_COST:
            self._trust = _FIRST_TRUST
            self._paused_until = len(self._ids) + PAUSE_TOKENS


class NoDrafter:
    """Guesses nothing."""

    def push(self, token_id: int) -> None:
        pass

    def rewind(self, n_tokens: int) -> None:
        pass

    def draft(self, n_most: int) -> list[int]:
        return []

    def learn(self, n_right: int, n_guessed: int) -> None:
        pass
