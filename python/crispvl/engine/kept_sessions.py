"""Sessions between two answers, whose KV caches hold what the next prompt may begin with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from crispvl._core import Session

MAX_SPARE = 16
"""Most sessions kept only for their memory, which is ready to be written to."""

MAX_BYTES = 256 << 20
"""Most memory for the KV caches of pages, and of conversations; those of the last are kept in any
case."""


@dataclass(frozen=True, eq=False)
class KeptSession:
    """A session that nobody uses."""

    session: Session
    cached: NDArray[np.int64]
    """What its KV cache holds: token ids, and below 0 what tells images apart."""
    n_bytes: int
    is_chat: bool

    def is_continued(self, n_common: int) -> bool:
        """Whether a prompt with so much in common is worth what else the cache holds."""
        has_image = bool((self.cached[:n_common] < 0).any())
        return has_image or 2 * n_common > len(self.cached)


class KeptSessions:
    """Keeps the session of the last page, those of the last conversations, and some spare ones.

    Any thread may use it.

    Attributes:
        max_chats: Most conversations whose session is kept, at least 1.
        n_hits, n_misses: How often a prompt's beginning was in a cache, or was not.
    """

    def __init__(self) -> None:
        self.max_chats = 1
        self.n_hits = self.n_misses = 0
        # Reentrant, as a finaliser may give a session back wherever memory is allocated.
        self._lock = threading.RLock()
        self._kept: list[KeptSession] = []  # the least recently used first

    def take(
        self, n_tokens: int, n_common: Callable[[NDArray[np.int64]], int]
    ) -> tuple[Session, int] | None:
        """Returns a session with room that is no longer kept, and how much of it is of use.

        Args:
            n_tokens: That it must hold.
            n_common: Says how many tokens a prompt has in common with what a cache holds.
        """
        with self._lock:
            scores = {
                kept: n_common(kept.cached) for kept in self._kept if kept.session.n_ctx >= n_tokens
            }
            continued = [kept for kept, score in scores.items() if kept.is_continued(score)]
            self.n_hits += bool(continued)
            self.n_misses += not continued
            is_full = sum(kept.is_chat for kept in self._kept) >= self.max_chats
            spare = [kept for kept in scores if is_full or not kept.is_chat]
            chosen = max(continued or spare, key=scores.__getitem__, default=None)
            if chosen is None:
                return None
            self._kept.remove(chosen)
        return chosen.session, scores[chosen]

    def put(self, kept: KeptSession) -> None:
        with self._lock:
            same = [other for other in self._kept if other.is_chat == kept.is_chat]
            others = [other for other in self._kept if other.is_chat != kept.is_chat]
            if not kept.is_chat:  # of pages only the last is asked about again
                same = [replace(other, cached=other.cached[:0]) for other in same]
            same.append(kept)
            n_most = self.max_chats if kept.is_chat else MAX_SPARE
            while len(same) > n_most or (len(same) > 1 and _n_bytes(same) > MAX_BYTES):
                del same[0]
            self._kept = others + same

    def clear(self) -> None:
        with self._lock:
            self._kept = []

    @property
    def n_kept(self) -> int:
        return len(self._kept)

    @property
    def n_bytes(self) -> int:
        """What their KV caches take."""
        with self._lock:
            return _n_bytes(self._kept)


def _n_bytes(kept: list[KeptSession]) -> int:
    return sum(session.n_bytes for session in kept)
