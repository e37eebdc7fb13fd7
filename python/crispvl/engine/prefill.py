"""From a prompt to a session that is ready to sample: encode the tiles, fill the KV cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crispvl.engine.steps import Encoded, Result, Slice, Steps, Work

if TYPE_CHECKING:
    from crispvl._core import CancelToken, Session
    from crispvl.engine.interface import VisionLanguageModel

Progress = Callable[[int, int], None]
"""Called with the number of tiles encoded so far and of all tiles."""

EncodeSteps: TypeAlias = Generator[Work | Encoded, None, Result]
"""Yields work and how far the encoding is, and returns a result in the end."""


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
    model: VisionLanguageModel,
    images: Sequence[NDArray[np.uint8]],
    cancel: CancelToken | None,
    clock: Clock,
) -> EncodeSteps[NDArray[np.float32]]:
    """Returns the embeddings of images, given as their tiles: ``[n_tokens, width]``."""
    tiles = np.concatenate(images)
    parts: list[NDArray[np.float32]] = []
    n_slice = model.core.tiles_per_graph
    for i in range(0, len(tiles), n_slice):
        part = tiles[i : i + n_slice]

        def run(part: NDArray[np.uint8] = part) -> None:
            parts.append(model.encode(part, cancel=cancel))

        yield from clock.run("encode_ms", Slice(run))
        yield Encoded(min(i + n_slice, len(tiles)), len(tiles))
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
class Prompt:
    """A prompt on its way into a session."""

    model: VisionLanguageModel
    ids: list[int]
    """A router of tiles takes some away."""
    images: Sequence[NDArray[np.uint8]]
    """Per image its tiles, ``[n_tiles, px, px, 3]``."""
    n_answer_tokens: int
    """Most tokens that will follow the prompt."""
    cancel: CancelToken | None
    clock: Clock

    @property
    def n_tokens(self) -> int:
        """Tokens that the session must hold."""
        return len(self.ids) + self.n_answer_tokens


class SessionSource(Protocol):
    """Where an answer's session comes from, and what becomes of it."""

    def acquire(self, prompt: Prompt) -> EncodeSteps[tuple[Session, int]]:
        """Returns a session that holds the prompt and has room for the answer.

        The number is that of the prompt's tokens that were in its cache before.
        """

    def release(self, session: Session, ids: Sequence[int]) -> None:
        """Takes the session back; its cache holds the first ``session.n_past`` of the ids."""


class FreshSessions:
    """A session of its own for every prompt, freed at its end."""

    def acquire(self, prompt: Prompt) -> EncodeSteps[tuple[Session, int]]:
        embeddings = None
        if prompt.images:
            embeddings = yield from encode(prompt.model, prompt.images, prompt.cancel, prompt.clock)
        session = prompt.model.core.new_session(prompt.n_tokens)
        yield from prefill(session, prompt.ids, embeddings, prompt.cancel, prompt.clock)
        return session, 0

    def release(self, session: Session, ids: Sequence[int]) -> None:
        pass
