"""Tiles of strips in, the rows of their answers out; many tiles at a time."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crispvl.engine.engine import Engine
from crispvl.engine.handle import Handle
from crispvl.engine.prefill import EncodeSteps, Prompt, encode, prefill
from crispvl.engine.request import Request
from crispvl.options import MAX_TOKENS, ReadOptions
from crispvl.results.generation import FinishReason, Generation, Timings

if TYPE_CHECKING:
    from crispvl._core import CancelToken, Row, Session, StripTile

MAX_WAITING = 64
"""Most tiles whose answers are asked for and not taken yet."""


@dataclass(frozen=True)
class TileAnswer:
    """What was answered to a tile.

    Attributes:
        i_tile: Number of the tile.
        rows: As many as the answer has lines.
        finish_reason: Why it ended; all rows are whole only where it is ``stop``.
    """

    i_tile: int
    rows: list[Row]
    finish_reason: FinishReason


class StripReader:
    """Asks a model for the text of tiles.

    Args:
        engine: Answers.
        prompt_ids: Of the question about one tile.
        options: Sampling. Their limit of tokens is not an answer's, whose rows are needed whole.
        cancel: Stops within one layer of encoding or one token.

    Attributes:
        timings: What it took so far.
        n_tiles: Tiles read so far.
    """

    def __init__(
        self,
        engine: Engine,
        prompt_ids: list[int],
        options: ReadOptions,
        cancel: CancelToken | None,
    ) -> None:
        self._engine = engine
        self._prompt_ids = prompt_ids
        # Neighbouring tiles fill a pass better than guesses do.
        self._options = replace(options, speculate=False)
        self._cancel = cancel
        self.timings = Timings()
        self.n_tiles = 0

    def read(
        self, next_tile: Callable[[], StripTile | None]
    ) -> Generator[Handle[Any] | TileAnswer, None, None]:
        """Yields each answer in the tiles' order, and meanwhile the request that is waited for.

        Args:
            next_tile: Returns a tile, or None where there is none before a further answer is
                known, or at all. Tiles are asked for a limited number ahead.
        """
        encoder = _Encoder()
        numbers = itertools.count()
        asked: deque[tuple[int, Handle[Generation]]] = deque()
        with ExitStack() as stack:
            while True:
                while len(asked) < MAX_WAITING and (tile := next_tile()) is not None:
                    i_tile = next(numbers)
                    encoder.put(i_tile, tile)
                    handle = self._ask(tile, _TileSessions(encoder, i_tile))
                    stack.callback(handle.close)
                    asked.append((i_tile, handle))
                if not asked:
                    return
                i_tile, handle = asked.popleft()
                while not handle.done:
                    handle.take()
                    yield handle
                yield self._answer(i_tile, handle.result())

    def _ask(self, tile: StripTile, sessions: _TileSessions) -> Handle[Generation]:
        return self._engine.submit(
            Request(
                prompt_ids=self._prompt_ids,
                images=(tile.pixels[None],),
                options=replace(self._options, max_tokens=min(tile.most_tokens, MAX_TOKENS)),
                sessions=sessions,
                cancel=self._cancel,
            )
        )

    def _answer(self, i_tile: int, generation: Generation) -> TileAnswer:
        from crispvl._core import split_rows

        self.timings += generation.timings
        self.n_tiles += 1
        tokens = zip(generation.ids, generation.logprobs, generation.pieces, strict=True)
        rows = split_rows(list(tokens), generation.stop_logprob)
        return TileAnswer(i_tile, rows, generation.finish_reason)


class _Encoder:
    """Encodes the tiles of a page several at a time, when the first of them is asked for."""

    def __init__(self) -> None:
        self._tiles: dict[int, NDArray[np.uint8]] = {}
        self._embeddings: dict[int, NDArray[np.float32]] = {}

    def put(self, i_tile: int, tile: StripTile) -> None:
        """Takes a tile that is going to be asked for."""
        self._tiles[i_tile] = tile.pixels

    def take(self, i_tile: int, prompt: Prompt) -> EncodeSteps[NDArray[np.float32]]:
        """Returns the embeddings ``[n_tokens, width]`` of a tile, once."""
        if i_tile not in self._embeddings:
            core = prompt.model.core
            # Lanes take tiles one by one.
            n_ahead = core.tiles_per_graph if core.n_lanes == 1 else 1
            ahead = range(i_tile, i_tile + n_ahead)
            numbers = [i for i in ahead if i in self._tiles]
            tiles = np.stack([self._tiles.pop(i) for i in numbers])
            rows = yield from encode(prompt, tiles)
            self._embeddings.update(zip(numbers, rows, strict=True))
        return self._embeddings.pop(i_tile)


class _TileSessions:
    """A fresh session for a tile of a page; a `crispvl.engine.prefill.SessionSource`."""

    def __init__(self, encoder: _Encoder, i_tile: int) -> None:
        self._encoder = encoder
        self._i_tile = i_tile

    def acquire(self, prompt: Prompt) -> EncodeSteps[tuple[Session, int]]:
        rows = yield from self._encoder.take(self._i_tile, prompt)
        session = prompt.model.core.new_session(prompt.n_tokens)
        yield from prefill(session, prompt.ids, rows, prompt.cancel, prompt.clock)
        return session, 0

    def release(self, session: Session, ids: Sequence[int]) -> None:
        pass
