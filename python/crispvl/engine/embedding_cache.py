"""Embeddings of tiles that were seen before, within a bound of bytes."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def tile_key(tile: NDArray[np.uint8]) -> bytes:
    """Returns what tells a tile's pixels from all others."""
    return hashlib.blake2b(tile.tobytes(), digest_size=16).digest()


class EmbeddingCache:
    """Keeps arrays by key; the least recently used go first. Any thread may use it.

    Args:
        max_bytes: Most that they take.

    Attributes:
        n_bytes: What they take.
        n_hits, n_misses: How often one was asked for and was there, or was computed instead.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = self.n_hits = self.n_misses = 0
        self._lock = threading.Lock()
        self._arrays: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    def find(self, keys: Iterable[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Returns those that there are."""
        with self._lock:
            found = {key: self._arrays[key] for key in keys if key in self._arrays}
            for key in found:
                self._arrays.move_to_end(key)
            self.n_hits += len(found)
        return found

    def keep(self, arrays: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Takes what was computed."""
        with self._lock:
            for key, array in arrays.items():
                replaced = self._arrays.pop(key, None)
                self.n_bytes += array.nbytes - (0 if replaced is None else replaced.nbytes)
                self._arrays[key] = array
            self.n_misses += len(arrays)
            while self.n_bytes > self.max_bytes:
                self.n_bytes -= self._arrays.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        with self._lock:
            self._arrays.clear()
            self.n_bytes = 0


@dataclass(frozen=True)
class SeenTiles:
    """The tiles of a prompt, of which a cache may hold some.

    Attributes:
        keys: Of the tiles, by `tile_key`.
    """

    keys: Sequence[bytes]
    cache: EmbeddingCache
