"""Sampling that the core's own sampler does not do: OpenAI's penalties, and the runners-up.

It looks at all logits in Python, which costs some milliseconds per token of a large vocabulary, so
it is used only for requests with one of the two.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from crispvl.engine.request import Constraint
from crispvl.options import GenerateOptions


class LogitsSampler:
    """Chooses the tokens of one answer (a `crispvl.engine.request.Constraint`).

    Args:
        options: Temperature, truncation, seed and repetition penalty, as for the core's sampler.
        presence_penalty: Is taken off the logits of tokens that were written.
        frequency_penalty: Is taken off them once for each time they were written.
        n_top: How many of the likeliest tokens are noted for each that is written.
        inner: Chooses instead, where an answer is bound to a form.

    Attributes:
        top: For each token, the likeliest by the model's own distribution, and their natural
            log-probabilities; the token that ended the answer included.
    """

    def __init__(
        self,
        options: GenerateOptions,
        presence_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
        n_top: int = 0,
        inner: Constraint | None = None,
    ) -> None:
        self._options = options
        self._presence = presence_penalty
        self._frequency = frequency_penalty
        self._n_top = n_top
        self._inner = inner
        self._random = np.random.default_rng(options.seed)
        self._written: Counter[int] = Counter()
        self.top: list[list[tuple[int, float]]] = []

    def sample(self, logits: NDArray[np.float32]) -> tuple[int, float]:
        """Returns the next token and its log-probability under the unmodified distribution.

        Args:
            logits: float32 ``[vocab]``.
        """
        scores = logits.astype(np.float64)
        logprobs = scores - scores.max()
        logprobs -= np.log(np.exp(logprobs).sum())
        if self._n_top:
            self.top.append(_likeliest(logprobs, self._n_top))
        if self._inner is not None:
            return self._inner.sample(logits)
        token_id = self._choose(self._penalised(scores))
        self._written[token_id] += 1
        return token_id, float(logprobs[token_id])

    def _penalised(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self._written:
            return scores
        ids = np.fromiter(self._written.keys(), np.int64)
        counts = np.fromiter(self._written.values(), np.float64)
        factor = self._options.repetition_penalty
        seen = np.where(scores[ids] > 0, scores[ids] / factor, scores[ids] * factor)
        scores[ids] = seen - self._presence - self._frequency * counts
        return scores

    def _choose(self, scores: NDArray[np.float64]) -> int:
        options = self._options
        if options.temperature == 0:
            return int(np.argmax(scores))
        order = np.argsort(-scores, kind="stable")[: options.top_k or None]
        chances = np.exp((scores[order] - scores[order[0]]) / options.temperature)
        chances /= chances.sum()
        # The token that crosses top_p is kept, so there is always one.
        kept = np.cumsum(chances) - chances < options.top_p
        kept &= chances >= options.min_p * chances[0]
        chances = np.where(kept, chances, 0.0)
        return int(self._random.choice(order, p=chances / chances.sum()))


def _likeliest(logprobs: NDArray[np.float64], n: int) -> list[tuple[int, float]]:
    """Returns the n likeliest tokens, the likeliest first."""
    ids = np.argpartition(-logprobs, min(n, len(logprobs) - 1))[:n]
    ids = ids[np.argsort(-logprobs[ids], kind="stable")]
    return [(int(i), float(logprobs[i])) for i in ids]
