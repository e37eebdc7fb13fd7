"""Embeddings of images that were seen before, within a bound of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray


class EmbeddingCache:
    """Keeps arrays by key; the least recently used go first. Any thread may use it.

    Args:
        max_bytes: Most that they take.

    Attributes:
        n_bytes: What they take.
        n_hits, n_misses: How often one was asked for and was there, or was not.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = self.n_hits = self.n_misses = 0
        self._lock = threading.Lock()
        self._arrays: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    def get(self, key: bytes) -> NDArray[np.float32] | None:
        with self._lock:
            array = self._arrays.get(key)
            if array is None:
                self.n_misses += 1
            else:
                self.n_hits += 1
                self._arrays.move_to_end(key)
        return array

    def keep(self, key: bytes, array: NDArray[np.float32]) -> None:
        with self._lock:
            replaced = self._arrays.pop(key, None)
            self.n_bytes += array.nbytes - (0 if replaced is None else replaced.nbytes)
            self._arrays[key] = array
            while self.n_bytes > self.max_bytes:
                self.n_bytes -= self._arrays.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        with self._lock:
            self._arrays.clear()
            self.n_bytes = 0
