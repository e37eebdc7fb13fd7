"""Follow-up questions without the work done before: the last chat's KV cache and embeddings.

A conversation is sent whole with every turn. What its prompt has in common with what the last
session's cache holds, the same images in the same places included, is not computed again; images
that were seen before are not encoded again.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crispvl.prefill import Clock, Progress, encode, prefill
from crispvl.steps import Steps

if TYPE_CHECKING:
    from crispvl._core import CancelToken, Session
    from crispvl.model import Model

MAX_EMBEDDING_BYTES = 64 << 20
"""Most memory for embeddings of images: some seventy tiles of a 1B model."""

SPARE_TOKENS = 1024
"""Room beyond an answer, for the questions that follow."""


@dataclass(frozen=True)
class _Idle:
    session: Session
    cached: NDArray[np.int64]
    """What its cache holds; see `_fingerprint`."""


class ChatSessions:
    """Keeps one session between turns, and embeddings by image. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: _Idle | None = None
        self._embeddings: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    def start(self, images: Sequence[NDArray[np.uint8]]) -> ChatStart:
        """Returns the way to begin an answer.

        Args:
            images: Per image, in the prompt's order, its tiles ``[n_tiles, px, px, 3]``.
        """
        return ChatStart(self, images)

    def take(self) -> _Idle | None:
        """Returns the session that is kept, which is no longer kept then."""
        with self._lock:
            idle, self._idle = self._idle, None
        return idle

    def put(self, session: Session, cached: NDArray[np.int64]) -> None:
        with self._lock:
            self._idle = _Idle(session, cached)

    def embeddings(self, key: bytes) -> NDArray[np.float32] | None:
        with self._lock:
            rows = self._embeddings.get(key)
            if rows is not None:
                self._embeddings.move_to_end(key)
        return rows

    def keep_embeddings(self, key: bytes, rows: NDArray[np.float32]) -> None:
        with self._lock:
            self._embeddings[key] = rows
            while sum(rows.nbytes for rows in self._embeddings.values()) > MAX_EMBEDDING_BYTES:
                self._embeddings.popitem(last=False)

    def clear(self) -> None:
        """Frees what is kept."""
        with self._lock:
            self._idle = None
            self._embeddings.clear()


class ChatStart:
    """Begins one answer with what is left of the turns before (a `crispvl.prefill.Start`)."""

    def __init__(self, sessions: ChatSessions, images: Sequence[NDArray[np.uint8]]) -> None:
        self._sessions = sessions
        self._images = images
        self._keys = [_key(tiles) for tiles in images]
        self._context_token = self._per_tile = -1

    def begin(
        self,
        model: Model,
        prompt_ids: list[int],
        tiles: NDArray[np.uint8] | None,
        n_answer_tokens: int,
        cancel: CancelToken | None,
        progress: Progress | None,
        clock: Clock,
    ) -> Steps[Session]:
        self._context_token = model.config["image"]["context_token_id"]
        self._per_tile = model.config["projector"]["tokens_per_tile"]
        n_tokens = len(prompt_ids) + n_answer_tokens
        n_common = 0
        idle = self._sessions.take()
        if idle is not None and idle.session.n_ctx >= n_tokens:
            session = idle.session
            # The last token of the prompt is always computed, for its logits.
            n_common = _n_common(idle.cached, self._fingerprint(prompt_ids))
            n_common = min(n_common, len(prompt_ids) - 1)
            session.rewind(n_common)
        else:
            idle = None  # freed before a larger one is made
            context_length: int = model.config["decoder"]["context_length"]
            session = model.core.new_session(min(context_length, n_tokens + SPARE_TOKENS))
        rest = prompt_ids[n_common:]
        n_rows = rest.count(self._context_token)
        embeddings = None
        if n_rows:
            embeddings = yield from self._encode(model, n_rows, cancel, progress, clock)
        yield from prefill(session, rest, embeddings, cancel, clock)
        return session

    def end(self, session: Session, ids: Sequence[int]) -> None:
        n_past = min(session.n_past, len(ids))
        session.rewind(n_past)
        self._sessions.put(session, self._fingerprint(ids[:n_past]))

    def _encode(
        self,
        model: Model,
        n_rows: int,
        cancel: CancelToken | None,
        progress: Progress | None,
        clock: Clock,
    ) -> Steps[NDArray[np.float32]]:
        """Returns the last rows of all images' embeddings, encoding those not seen before."""
        wanted: list[int] = []
        n_left = n_rows
        for i in reversed(range(len(self._images))):
            if n_left <= 0:
                break
            wanted.insert(0, i)
            n_left -= len(self._images[i]) * self._per_tile
        known = {i: self._sessions.embeddings(self._keys[i]) for i in wanted}
        new = [i for i in wanted if known[i] is None]
        if new:
            tiles = np.concatenate([self._images[i] for i in new])
            rows = yield from encode(model, tiles, cancel, progress, clock)
            at = 0
            for i in new:
                part = rows[at : at + len(self._images[i]) * self._per_tile]
                at += len(part)
                known[i] = part
                self._sessions.keep_embeddings(self._keys[i], part)
        found = [rows for rows in known.values() if rows is not None]
        return np.concatenate(found)[-n_rows:]

    def _fingerprint(self, ids: Sequence[int]) -> NDArray[np.int64]:
        """Returns token ids, with those of images replaced by what tells the images apart."""
        marks = np.asarray(ids, np.int64)
        places = np.flatnonzero(marks == self._context_token)
        for tiles, key in zip(self._images, self._keys, strict=True):
            n_rows = len(tiles) * self._per_tile
            marks[places[:n_rows]] = -1 - int.from_bytes(key[:7], "little")
            places = places[n_rows:]
        return marks


def _key(tiles: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(tiles.tobytes(), digest_size=16).digest()


def _n_common(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    """Returns how many elements two arrays have in common at their beginnings."""
    n = min(len(first), len(second))
    different = np.flatnonzero(first[:n] != second[:n])
    return int(different[0]) if len(different) else n
