"""From a prompt to a session that is ready to sample: encode the tiles, fill the KV cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from crispvl._core import CancelToken, Session
    from crispvl.model import Model

Progress = Callable[[int, int], None]
"""Called with the number of tiles encoded so far and of all tiles."""


class Clock:
    """Adds the time since its last call to a named sum, in milliseconds."""

    def __init__(self, sums: dict[str, float]) -> None:
        self._sums = sums
        self.start()

    def start(self) -> None:
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._sums[name] = self._sums.get(name, 0.0) + 1000 * (now - self._since)
        self._since = now


class Start(Protocol):
    """How an answer begins, and what becomes of its session."""

    def begin(
        self,
        model: Model,
        prompt_ids: list[int],
        tiles: NDArray[np.uint8] | None,
        n_answer_tokens: int,
        cancel: CancelToken | None,
        progress: Progress | None,
        clock: Clock,
    ) -> Session:
        """Returns a session that holds the prompt and has room for the answer."""

    def end(self, session: Session, ids: Sequence[int]) -> None:
        """Takes the session back; its cache holds the first ``session.n_past`` of the ids."""


class FreshStart:
    """A session of its own for every prompt, freed at its end."""

    def begin(
        self,
        model: Model,
        prompt_ids: list[int],
        tiles: NDArray[np.uint8] | None,
        n_answer_tokens: int,
        cancel: CancelToken | None,
        progress: Progress | None,
        clock: Clock,
    ) -> Session:
        embeddings = None
        if tiles is not None:
            rows = model.encode(tiles, cancel=cancel, progress=progress)
            embeddings = rows.reshape(-1, rows.shape[-1])
        clock.lap("encode_ms")
        session = model.core.new_session(len(prompt_ids) + n_answer_tokens)
        session.prefill(prompt_ids, embeddings, cancel)
        clock.lap("prefill_ms")
        return session

    def end(self, session: Session, ids: Sequence[int]) -> None:
        pass
