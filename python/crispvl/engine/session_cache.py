"""What was computed before and may be wanted again: embeddings of images, and a prompt's KV cache.

A conversation is sent whole with every turn, and a page may be asked about again. What a prompt has
in common with what the last session's cache holds, the same images in the same places included, is
not computed again; images that were seen before are not encoded again. Images are told apart by
their tiles, which hold their pixels and how they were cut.
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

from crispvl.engine.prefill import Wanted, encode, prefill
from crispvl.engine.steps import Steps

if TYPE_CHECKING:
    from crispvl._core import Session
    from crispvl.engine.model import Model

EMBEDDING_BYTES = 64 << 20
"""Most memory for embeddings of images, unless told otherwise: some seventy tiles of a 1B model."""

CHAT_SPARE_TOKENS = 1024
"""Room beyond a chat's answer, for the questions that follow."""

CONTEXT_STEP = 1024
"""Sizes of sessions are multiples of it, so that one serves pages of about the same size."""


@dataclass(frozen=True)
class _Idle:
    session: Session
    cached: NDArray[np.int64]
    """What its cache holds; see `CachedStart._fingerprint`."""


class SessionCache:
    """Keeps one session between answers, and embeddings by image. Any thread may use it.

    Args:
        max_bytes: Of embeddings; the least recently used go first. 0 keeps nothing, no session
            either.

    Raises:
        TypeError: They are no int.
        ValueError: They are negative.
    """

    def __init__(self, max_bytes: int = EMBEDDING_BYTES) -> None:
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int):
            raise TypeError(
                f"[image cache] a number of bytes of type int is expected; found {max_bytes!r}; "
                "pass one, such as 64 << 20"
            )
        if max_bytes < 0:
            raise ValueError(
                f"[image cache] 0 bytes or more are expected; found {max_bytes}; pass 0 to keep "
                "nothing"
            )
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._lock = threading.Lock()
        self._idle: _Idle | None = None
        self._embeddings: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    def for_chat(self, images: Sequence[NDArray[np.uint8]]) -> CachedStart:
        """Returns the way to begin an answer in a conversation.

        Args:
            images: Per image, in the prompt's order, its tiles ``[n_tiles, px, px, 3]``.
        """
        return CachedStart(self, images, CHAT_SPARE_TOKENS, needs_image=False)

    def for_page(self, tiles: NDArray[np.uint8]) -> CachedStart:
        """Returns the way to begin the answer to a question about one image.

        A session is taken on only where it holds the same image, and only up to the image's end. So
        a page's result does not depend on what was read before, to the last bit.
        """
        return CachedStart(self, [tiles], 0, needs_image=True)

    def take(self, n_tokens: int) -> _Idle | None:
        """Returns the session that is kept, if it has room; it is no longer kept then."""
        with self._lock:
            idle, self._idle = self._idle, None
        return idle if idle is not None and idle.session.n_ctx >= n_tokens else None

    def put(self, session: Session, cached: NDArray[np.int64]) -> None:
        if self._max_bytes:
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
            replaced = self._embeddings.pop(key, None)
            self._n_bytes += rows.nbytes - (0 if replaced is None else replaced.nbytes)
            self._embeddings[key] = rows
            while self._n_bytes > self._max_bytes:
                self._n_bytes -= self._embeddings.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        with self._lock:
            self._idle = None
            self._embeddings.clear()
            self._n_bytes = 0


class CachedStart:
    """Begins one answer with what is left of those before (a `crispvl.engine.prefill.Start`)."""

    def __init__(
        self,
        cache: SessionCache,
        images: Sequence[NDArray[np.uint8]],
        n_spare_tokens: int,
        needs_image: bool,
    ) -> None:
        self._cache = cache
        self._images = images
        self._keys = [_key(tiles) for tiles in images]
        self._n_spare_tokens = n_spare_tokens
        self._needs_image = needs_image
        self._context_token = self._per_tile = -1

    def begin(self, wanted: Wanted) -> Steps[Session]:
        model, prompt_ids = wanted.model, wanted.prompt_ids
        self._context_token = model.config["image"]["context_token_id"]
        self._per_tile = model.config["projector"]["tokens_per_tile"]
        session, n_common = self._session(wanted)
        rest = prompt_ids[n_common:]
        n_rows = rest.count(self._context_token)
        embeddings = None
        if n_rows:
            embeddings = yield from self._encode(wanted, n_rows)
        yield from prefill(session, rest, embeddings, wanted.cancel, wanted.clock)
        return session

    def end(self, session: Session, ids: Sequence[int]) -> None:
        n_past = min(session.n_past, len(ids))
        session.rewind(n_past)
        self._cache.put(session, self._fingerprint(ids[:n_past]))

    def _session(self, wanted: Wanted) -> tuple[Session, int]:
        """Returns a session with room, and how many tokens of the prompt it holds."""
        idle = self._cache.take(wanted.n_tokens)
        if idle is None:
            context_length: int = wanted.model.config["decoder"]["context_length"]
            n_wanted = wanted.n_tokens + self._n_spare_tokens
            n_ctx = -(-n_wanted // CONTEXT_STEP) * CONTEXT_STEP
            # A prompt with fractional image positions may have more tokens than the context.
            n_most = max(context_length, wanted.n_tokens)
            return wanted.model.core.new_session(min(n_most, n_ctx)), 0
        n_common = self._n_common(wanted.model, wanted.prompt_ids, idle.cached)
        idle.session.rewind(n_common)
        return idle.session, n_common

    def _n_common(self, model: Model, prompt_ids: list[int], cached: NDArray[np.int64]) -> int:
        if model.config["decoder"].get("rope_scaling") == "dynamic":
            return 0  # the angles depend on the length of the whole
        # The last token of the prompt is always computed, for its logits.
        n_same = min(_n_same(cached, self._fingerprint(prompt_ids)), len(prompt_ids) - 1)
        if not self._needs_image:
            return n_same
        reversed_ids = prompt_ids[::-1]
        has_image = self._context_token in reversed_ids
        n_head = len(prompt_ids) - reversed_ids.index(self._context_token) if has_image else 0
        return n_head if n_head <= n_same else 0

    def _encode(self, wanted: Wanted, n_rows: int) -> Steps[NDArray[np.float32]]:
        """Returns the last rows of all images' embeddings, encoding those not seen before."""
        needed: list[int] = []
        n_left = n_rows
        for i in reversed(range(len(self._images))):
            if n_left <= 0:
                break
            needed.insert(0, i)
            n_left -= len(self._images[i]) * self._per_tile
        known = {i: self._cache.embeddings(self._keys[i]) for i in needed}
        new = [i for i in needed if known[i] is None]
        if new:
            tiles = np.concatenate([self._images[i] for i in new])
            rows = yield from encode(
                wanted.model, tiles, wanted.cancel, wanted.progress, wanted.clock
            )
            at = 0
            for i in new:
                part = rows[at : at + len(self._images[i]) * self._per_tile]
                at += len(part)
                known[i] = part
                self._cache.keep_embeddings(self._keys[i], part)
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


def _n_same(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    """Returns how many elements two arrays have in common at their beginnings."""
    n = min(len(first), len(second))
    different = np.flatnonzero(first[:n] != second[:n])
    return int(different[0]) if len(different) else n
