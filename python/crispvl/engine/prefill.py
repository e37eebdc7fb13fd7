"""From a prompt to a session that is ready to sample: encode the tiles, fill the KV cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crispvl.engine.steps import Slice, Steps, Work

if TYPE_CHECKING:
    from crispvl._core import CancelToken, Session
    from crispvl.engine.model import Model

Progress = Callable[[int, int], None]
"""Called with the number of tiles encoded so far and of all tiles."""


class Clock:
    """Adds the time since its last call to a named sum, in milliseconds; counts other things."""

    def __init__(self, sums: dict[str, Any]) -> None:
        self._sums = sums
        self.start()

    def start(self) -> None:
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._add(name, 1000 * (now - self._since))
        self._since = now

    def run(self, name: str, work: Work) -> Steps[None]:
        """Has work done, and counts what it took but not what others did meanwhile."""
        self.lap(name)
        yield work
        self._add(name, work.ms)
        self.start()
        work.check()

    def count(self, name: str) -> None:
        """Adds one to a named number."""
        self._sums[name] = self._sums.get(name, 0) + 1

    def _add(self, name: str, ms: float) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + ms


def encode(
    model: Model,
    tiles: NDArray[np.uint8],
    cancel: CancelToken | None,
    progress: Progress | None,
    clock: Clock,
) -> Steps[NDArray[np.float32]]:
    """Returns the tiles' embeddings ``[n_tiles * tokens_per_tile, width]``."""
    parts: list[NDArray[np.float32]] = []
    n_slice = model.core.tiles_per_graph
    for i in range(0, len(tiles), n_slice):
        part = tiles[i : i + n_slice]

        def run(part: NDArray[np.uint8] = part) -> None:
            parts.append(model.encode(part, cancel=cancel))

        yield from clock.run("encode_ms", Slice(run))
        if progress is not None:
            progress(min(i + n_slice, len(tiles)), len(tiles))
    rows = np.concatenate(parts)
    return rows.reshape(-1, rows.shape[-1])


def prefill(
    session: Session,
    ids: list[int],
    embeddings: NDArray[np.float32] | None,
    cancel: CancelToken | None,
    clock: Clock,
) -> Steps[None]:
    """Appends a prompt."""
    prompt = session.begin_prefill(ids, embeddings)
    while not prompt.done:
        yield from clock.run("prefill_ms", Slice(lambda: prompt.step(cancel)))


@dataclass(frozen=True)
class Wanted:
    """An answer that is to begin."""

    model: Model
    prompt_ids: list[int]
    tiles: NDArray[np.uint8] | None
    """``[n_tiles, px, px, 3]`` of the prompt's images; None without any."""
    n_answer_tokens: int
    """Most tokens that will follow the prompt."""
    cancel: CancelToken | None
    progress: Progress | None
    clock: Clock

    @property
    def n_tokens(self) -> int:
        """Tokens that the session must hold."""
        return len(self.prompt_ids) + self.n_answer_tokens


class Start(Protocol):
    """How an answer begins, and what becomes of its session."""

    def begin(self, wanted: Wanted) -> Steps[Session]:
        """Returns a session that holds the prompt and has room for the answer."""

    def end(self, session: Session, ids: Sequence[int]) -> None:
        """Takes the session back; its cache holds the first ``session.n_past`` of the ids."""


class FreshStart:
    """A session of its own for every prompt, freed at its end."""

    def begin(self, wanted: Wanted) -> Steps[Session]:
        embeddings = None
        if wanted.tiles is not None:
            embeddings = yield from encode(
                wanted.model, wanted.tiles, wanted.cancel, wanted.progress, wanted.clock
            )
        session = wanted.model.core.new_session(wanted.n_tokens)
        yield from prefill(session, wanted.prompt_ids, embeddings, wanted.cancel, wanted.clock)
        return session

    def end(self, session: Session, ids: Sequence[int]) -> None:
        pass
