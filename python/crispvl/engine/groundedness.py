"""How much an answer owes to its image, and how much the model could have made up without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crispvl.engine.prefill import Clock, prefill
from crispvl.engine.steps import MAX_ROWS, Decode, Slice, Steps

if TYPE_CHECKING:
    from crispvl._core import CancelToken, Session
    from crispvl.engine.interface import VisionLanguageModel
    from crispvl.results.generation import Generation


class Groundedness:
    """By how many nats per token the image makes an answer likelier than a blank one (a `Task`).

    The answer is run through the decoder once more with white tiles in the image's place. Text
    that was read scores several nats; text that the model would write without seeing it, near 0.

    Args:
        model: The model that answered.
        prompt_ids: What it was asked, with the image's tokens.
        generation: What it answered.
        cancel: Stops within one token.

    Attributes:
        result: The difference of mean log-probabilities; None for an empty answer, and until it is
            known.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        prompt_ids: Sequence[int],
        generation: Generation,
        cancel: CancelToken | None = None,
    ) -> None:
        from crispvl._core import CancelToken

        self._model = model
        self._ids = list(prompt_ids)
        self._generation = generation
        self.cancel = CancelToken(cancel)
        self.n_prompt = len(self._ids)
        self.n_tokens = self.n_prompt + len(generation.ids)
        self.result: float | None = None
        self.steps = self._measure()

    def _measure(self) -> Steps[None]:
        answer = self._generation.ids
        if not answer:
            return
        session = yield from self._blind_session()
        blind = _logprob(session.logits(), answer[0])
        given, expected = answer[:-1], answer[1:]
        clock = Clock({})
        i = 0
        while i < len(given):
            work = Decode(session, given[i : i + MAX_ROWS], self.cancel, n_needed=1)
            yield from clock.run("decode_ms", work)
            for i_row in range(len(work.ids)):  # fewer where other answers share the pass
                blind += _logprob(session.logits(i_row), expected[i + i_row])
            i += len(work.ids)
        self.result = float((sum(self._generation.logprobs) - blind) / len(answer))

    def _blind_session(self) -> Steps[Session]:
        """Returns a session that holds the prompt, its images blank."""
        model, clock = self._model, Clock({})
        tile_px = model.config.vision.tile_px
        white = np.full((1, tile_px, tile_px, 3), 255, np.uint8)
        rows: list[NDArray[np.float32]] = []
        work = Slice(lambda: rows.extend(model.encode(white, cancel=self.cancel)))
        yield from clock.run("encode_ms", work)
        n_tiles = self._ids.count(model.config.image.context_token_id) // len(rows[0])
        embeddings = np.tile(rows[0], (n_tiles, 1)) if n_tiles else None
        session = model.core.new_session(self.n_tokens)
        yield from prefill(session, self._ids, embeddings, self.cancel, clock)
        return session


def _logprob(logits: NDArray[np.float32], token_id: int) -> float:
    shifted = logits.astype(np.float64) - logits.max()
    return float(shifted[token_id] - np.log(np.exp(shifted).sum()))
