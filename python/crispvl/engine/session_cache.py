"""What was computed before and may be wanted again: embeddings of images, and prompts' KV caches.

A conversation is sent whole with every turn, and a page may be asked about again. What a prompt has
in common with what a kept session's cache holds, the same images in the same places included, is
not computed again; tiles that were seen before are not encoded again, in whichever image. Images
are distinguished by their tiles, which hold their pixels and how they were cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crispvl.engine.embedding_cache import EmbeddingCache, SeenTiles, tile_key
from crispvl.engine.kept_sessions import KeptSession, KeptSessions
from crispvl.engine.prefill import EncodeSteps, Prompt, encode, prefill

if TYPE_CHECKING:
    from crispvl._core import Session
    from crispvl.engine.interface import VisionLanguageModel

EMBEDDING_BYTES = 64 << 20
"""Most memory for embeddings of images, by default: some seventy tiles of a 1B model."""

CHAT_SPARE_TOKENS = 1024
"""Room beyond a chat's answer, for the questions that follow."""

CONTEXT_STEP = 1024
"""Sizes of sessions are multiples of it, so that one serves pages of about the same size."""


@dataclass(frozen=True, kw_only=True)
class CacheCounts:
    """What a cache was asked for and holds."""

    image_hits: int
    """Tiles that were not encoded again."""
    image_misses: int
    image_bytes: int
    max_image_bytes: int
    prefix_hits: int
    """Prompts whose beginning was in a kept KV cache."""
    prefix_misses: int
    n_sessions: int
    """Kept at present."""
    session_bytes: int


class SessionCache:
    """Keeps sessions between answers, and embeddings by image. Any thread may use it.

    Args:
        max_bytes: Of embeddings; the least recently used go first. 0 keeps nothing, no session
            either.

    Attributes:
        images: Embeddings of images' tiles.
        sessions: Those of the last page and the last conversations; how many of these is up to its
            ``max_chats``.

    Raises:
        TypeError: They are no int.
        ValueError: They are negative.
    """

    def __init__(self, max_bytes: int = EMBEDDING_BYTES) -> None:
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int):
            raise TypeError(
                f"[image cache] expected a number of bytes as int; found {max_bytes!r}; pass one, "
                "such as 64 << 20"
            )
        if max_bytes < 0:
            raise ValueError(
                f"[image cache] expected 0 bytes or more; found {max_bytes}; pass 0 to keep nothing"
            )
        self.images = EmbeddingCache(max_bytes)
        self.sessions = KeptSessions()

    def for_chat(self, images: Sequence[NDArray[np.uint8]]) -> CachedSessions:
        """Returns where the session of an answer in a conversation comes from.

        Args:
            images: Per image, in the prompt's order, its tiles ``[n_tiles, px, px, 3]``.
        """
        return CachedSessions(self, images, CHAT_SPARE_TOKENS, is_chat=True)

    def for_page(self, tiles: NDArray[np.uint8]) -> CachedSessions:
        """Returns where the session for a question about one image comes from.

        A session is taken on only where it holds the same image, and only up to the image's end. So
        a page's result does not depend on what was read before, to the last bit.
        """
        return CachedSessions(self, [tiles], 0, is_chat=False)

    def put(self, kept: KeptSession) -> None:
        """Keeps a session, if anything is to be kept."""
        if self.images.max_bytes:
            self.sessions.put(kept)

    def clear(self) -> None:
        self.images.clear()
        self.sessions.clear()

    @property
    def counts(self) -> CacheCounts:
        return CacheCounts(
            image_hits=self.images.n_hits,
            image_misses=self.images.n_misses,
            image_bytes=self.images.n_bytes,
            max_image_bytes=self.images.max_bytes,
            prefix_hits=self.sessions.n_hits,
            prefix_misses=self.sessions.n_misses,
            n_sessions=self.sessions.n_kept,
            session_bytes=self.sessions.n_bytes,
        )


class CachedSessions:
    """The session of one answer, with what is left of those before (a `SessionSource`)."""

    def __init__(
        self,
        cache: SessionCache,
        images: Sequence[NDArray[np.uint8]],
        n_spare_tokens: int,
        is_chat: bool,
    ) -> None:
        self._cache = cache
        self._images = images
        self._keys = [[tile_key(tile) for tile in tiles] for tiles in images]
        self._n_spare_tokens = n_spare_tokens
        self._is_chat = is_chat
        self._context_token = self._per_tile = self._kv_bytes = -1

    def acquire(self, prompt: Prompt) -> EncodeSteps[tuple[Session, int]]:
        model = prompt.model
        self._context_token = model.config.image.context_token_id
        self._per_tile = model.config.projector.tokens_per_tile
        self._kv_bytes = model.core.kv_bytes
        session, n_common = self._session(prompt)
        rest = prompt.ids[n_common:]
        n_rows = rest.count(self._context_token)
        embeddings = None
        if n_rows:
            embeddings = yield from self._last_rows(prompt, n_rows)
        yield from prefill(session, rest, embeddings, prompt.cancel, prompt.clock)
        return session, n_common

    def release(self, session: Session, ids: Sequence[int]) -> None:
        n_past = min(session.n_past, len(ids))
        session.rewind(n_past)
        cached = self._fingerprint(ids[:n_past])
        n_bytes = session.n_ctx * self._kv_bytes
        self._cache.put(KeptSession(session, cached, n_bytes, self._is_chat))

    def _session(self, prompt: Prompt) -> tuple[Session, int]:
        """Returns a session with room, and how many tokens of the prompt it holds."""
        wanted = self._fingerprint(prompt.ids)
        kept = self._cache.sessions.take(
            prompt.n_tokens, lambda cached: self._n_common(prompt.model, prompt.ids, wanted, cached)
        )
        if kept is not None:
            session, n_common = kept
            session.rewind(n_common)
            return session, n_common
        context_length: int = prompt.model.config.decoder.context_length
        n_wanted = prompt.n_tokens + self._n_spare_tokens
        n_ctx = -(-n_wanted // CONTEXT_STEP) * CONTEXT_STEP
        # A prompt with fractional image positions may have more tokens than the context.
        n_most = max(context_length, prompt.n_tokens)
        return prompt.model.core.new_session(min(n_most, n_ctx)), 0

    def _n_common(
        self,
        model: VisionLanguageModel,
        prompt_ids: list[int],
        wanted: NDArray[np.int64],
        cached: NDArray[np.int64],
    ) -> int:
        if model.config.decoder.rope_scaling == "dynamic":
            return 0  # the angles depend on the length of the whole
        # The last token of the prompt is always computed, for its logits.
        n_same = min(_n_same(cached, wanted), len(prompt_ids) - 1)
        if self._is_chat:
            return n_same
        reversed_ids = prompt_ids[::-1]
        has_image = self._context_token in reversed_ids
        n_head = len(prompt_ids) - reversed_ids.index(self._context_token) if has_image else 0
        return n_head if n_head <= n_same else 0

    def _last_rows(self, prompt: Prompt, n_rows: int) -> EncodeSteps[NDArray[np.float32]]:
        """Returns the last rows of all images' embeddings, encoding tiles not seen before."""
        n_tiles = -(-n_rows // self._per_tile)
        tiles = np.concatenate(self._images)[-n_tiles:]
        keys = [key for image in self._keys for key in image][-n_tiles:]
        rows = yield from encode(prompt, tiles, SeenTiles(keys, self._cache.images))
        return rows.reshape(-1, rows.shape[-1])[-n_rows:]

    def _fingerprint(self, ids: Sequence[int]) -> NDArray[np.int64]:
        """Returns token ids, with those of images replaced by what tells the images apart."""
        marks = np.asarray(ids, np.int64)
        places = np.flatnonzero(marks == self._context_token)
        for keys in self._keys:
            n_rows = len(keys) * self._per_tile
            mark = hashlib.blake2b(b"".join(keys), digest_size=7).digest()
            marks[places[:n_rows]] = -1 - int.from_bytes(mark, "little")
            places = places[n_rows:]
        return marks


def _n_same(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    """Returns how many elements two arrays have in common at their beginnings."""
    n = min(len(first), len(second))
    different = np.flatnonzero(first[:n] != second[:n])
    return int(different[0]) if len(different) else n
