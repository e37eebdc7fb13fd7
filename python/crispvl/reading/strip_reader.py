"""Tiles of strips in, the rows of their answers out; many tiles at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crispvl.engine.engine import Engine
from crispvl.engine.handle import Handle
from crispvl.engine.prefill import EncodeSteps, Prompt, encode, prefill
from crispvl.engine.request import Request
from crispvl.layout.rows import Row, split_rows
from crispvl.layout.strips import StripTile
from crispvl.options import MAX_TOKENS, ReadOptions
from crispvl.results.generation import FinishReason, Generation, Timings

if TYPE_CHECKING:
    from crispvl._core import CancelToken, Session

MIN_ADVANCE = 0.12
"""Of a strip's height, that a character takes at least on average over a row, however narrow."""

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
        options: Sampling.
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

    def read(self, tiles: Sequence[StripTile]) -> Generator[Handle[Any] | TileAnswer, None, None]:
        """Yields each answer in the tiles' order, and meanwhile the request that is waited for."""
        encoder = _Encoder([tile.pixels for tile in tiles])
        asked: deque[Handle[Generation]] = deque()
        i_next = 0
        with ExitStack() as stack:
            for i_tile in range(len(tiles)):
                while i_next < len(tiles) and len(asked) < MAX_WAITING:
                    asked.append(self._ask(tiles[i_next], _TileSessions(encoder, i_next)))
                    stack.callback(asked[-1].close)
                    i_next += 1
                handle = asked.popleft()
                while not handle.done:
                    handle.take()
                    yield handle
                yield self._answer(i_tile, handle.result())

    def _ask(self, tile: StripTile, sessions: _TileSessions) -> Handle[Generation]:
        n_most = round(sum(tile.aspects) / MIN_ADVANCE) + 2 * len(tile.aspects)
        n_tokens = min(self._options.max_tokens or MAX_TOKENS, n_most)
        return self._engine.submit(
            Request(
                prompt_ids=self._prompt_ids,
                images=(tile.pixels[None],),
                options=replace(self._options, max_tokens=n_tokens),
                sessions=sessions,
                cancel=self._cancel,
            )
        )

    def _answer(self, i_tile: int, generation: Generation) -> TileAnswer:
        self.timings += generation.timings
        self.n_tiles += 1
        tokens = zip(generation.ids, generation.logprobs, generation.pieces, strict=True)
        rows = list(split_rows(tokens))
        if generation.finish_reason == "stop":
            rows[-1].ended = True
            if generation.stop_logprob is not None:
                rows[-1].end_logprob = generation.stop_logprob
        return TileAnswer(i_tile, rows, generation.finish_reason)


class _Encoder:
    """Encodes the tiles of a page several at a time, when the first of them is asked for."""

    def __init__(self, tiles: Sequence[NDArray[np.uint8]]) -> None:
        self._tiles = tiles
        self._embeddings: dict[int, NDArray[np.float32]] = {}

    def take(self, i_tile: int, prompt: Prompt) -> EncodeSteps[NDArray[np.float32]]:
        """Returns the embeddings ``[n_tokens, width]`` of a tile, once."""
        if i_tile not in self._embeddings:
            tiles = self._tiles[i_tile : i_tile + prompt.model.core.tiles_per_graph]
            rows = yield from encode(prompt.model, [np.stack(tiles)], prompt.cancel, prompt.clock)
            parts = rows.reshape(len(tiles), -1, rows.shape[-1])
            self._embeddings.update(enumerate(parts, start=i_tile))
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
