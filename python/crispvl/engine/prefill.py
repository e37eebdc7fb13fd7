"""From a prompt to a session that is ready to sample: encode the tiles, fill the KV cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crispvl.engine.embedding_cache import SeenTiles, tile_key
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


def encode(
    prompt: Prompt, tiles: NDArray[np.uint8], seen: SeenTiles | None = None
) -> EncodeSteps[NDArray[np.float32]]:
    """Returns the embeddings of tiles, ``[n_tiles, n_tokens, width]``."""

    def run(part: NDArray[np.uint8]) -> NDArray[np.float32]:
        return prompt.model.encode(part, cancel=prompt.cancel)

    return np.stack((yield from encode_each(prompt, tiles, run, seen)))


def encode_each(
    prompt: Prompt,
    tiles: NDArray[np.uint8],
    run: Callable[[NDArray[np.uint8]], Iterable[Any]],
    seen: SeenTiles | None = None,
) -> EncodeSteps[list[Any]]:
    """Returns what `run` makes of each tile. It is given a slice at a time, and no tile twice."""
    n_slice = prompt.model.core.tiles_per_graph
    keys = _keys(tiles, n_slice) if seen is None else seen.keys
    places: dict[Any, int] = {}
    for i, key in enumerate(keys):
        places.setdefault(key, i)
    found: dict[Any, Any] = {} if seen is None else seen.cache.find(places)
    new = [key for key in places if key not in found]
    for i in range(0, len(new), n_slice):

        def run_slice(part: Sequence[Any] = new[i : i + n_slice]) -> None:
            if seen is not None:  # by now, other prompts' tiles too
                found.update(seen.cache.find(part))
            left = [key for key in part if key not in found]
            if left:
                rows = dict(zip(left, run(tiles[[places[key] for key in left]]), strict=True))
                found.update(rows)
                if seen is not None:
                    seen.cache.keep(rows)

        yield from prompt.clock.run("encode_ms", Slice(run_slice))
        yield Encoded(sum(key in found for key in keys), len(tiles))
    return [found[key] for key in keys]


def _keys(tiles: NDArray[np.uint8], n_slice: int) -> Sequence[Any]:
    """Returns what tells tiles apart; of a single slice the core itself encodes no tile twice."""
    return [tile_key(tile) for tile in tiles] if len(tiles) > n_slice else range(len(tiles))


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
            rows = yield from encode(prompt, np.concatenate(prompt.images))
            embeddings = rows.reshape(-1, rows.shape[-1])
        session = prompt.model.core.new_session(prompt.n_tokens)
        yield from prefill(session, prompt.ids, embeddings, prompt.cancel, prompt.clock)
        return session, 0

    def release(self, session: Session, ids: Sequence[int]) -> None:
        pass
