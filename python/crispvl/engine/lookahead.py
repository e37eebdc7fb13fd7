"""A session whose next logits may be there before they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crispvl.engine.drafting import Drafter, NoDrafter
from crispvl.engine.prefill import Clock
from crispvl.engine.steps import Decode, Steps

if TYPE_CHECKING:
    from crispvl._core import CancelToken, Sampler, Session


class Lookahead:
    """Appends tokens to a session, with guesses of those that follow behind them.

    Every token is sampled from the logits that it would be sampled from anyway. Where it is the
    one that was guessed, the logits after it are there already; else the guesses are taken back.

    Args:
        session: Holds the prompt.
        drafter: Knows the prompt.
        cancel: Stops within one pass.
        clock: Gets ``decode_ms``, ``passes`` and ``guessed``.
        n_tokens: Most that the session is to hold, which is within the model's context.
    """

    def __init__(
        self,
        session: Session,
        drafter: Drafter | NoDrafter,
        cancel: CancelToken | None,
        clock: Clock,
        n_tokens: int,
    ) -> None:
        self._session = session
        self._drafter = drafter
        self._cancel = cancel
        self._clock = clock
        self._n_tokens = n_tokens
        self._guesses: list[int] = []
        self._n_right = 0  # of the guesses; also the row of logits that counts

    def sample(self, sampler: Sampler) -> tuple[int, float]:
        """Returns the next token and its log-probability."""
        return self._session.sample(sampler, self._n_right)

    def logits(self) -> NDArray[np.float32]:
        """Returns those of the next token."""
        return self._session.logits(self._n_right)

    def append(self, token_id: int) -> Steps[None]:
        """Appends a token, and has the logits of the next computed if they are not there."""
        self._drafter.push(token_id)
        if self._n_right < len(self._guesses) and self._guesses[self._n_right] == token_id:
            self._n_right += 1
            self._clock.count("guessed")
            return
        self.settle()
        room = self._n_tokens - self._session.n_past - 1
        guesses = self._drafter.draft(room)
        self._clock.count("passes")
        work = Decode(self._session, [token_id, *guesses], self._cancel, n_needed=1)
        yield from self._clock.run("decode_ms", work)
        self._guesses = work.ids[1:]

    def settle(self) -> None:
        """Takes guesses back that were wrong or not needed; the session holds only the text."""
        if self._guesses:
            self._drafter.learn(self._n_right, len(self._guesses))
            n_wrong = len(self._guesses) - self._n_right
            if n_wrong:
                self._session.rewind(self._session.n_past - n_wrong)
        self._guesses, self._n_right = [], 0

    def rewind(self, n_tokens: int) -> None:
        """Takes back all but the first tokens of the session, the prompt's included."""
        self.settle()
        self._session.rewind(n_tokens)
        self._drafter.rewind(n_tokens)
