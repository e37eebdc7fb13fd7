"""Matrices that a checkpoint holds in blocks of a few bits, whichever way they are packed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from crispvl.convert.rows import Rows
from crispvl.convert.stored_tensor import StoredTensor


@dataclass(frozen=True)
class PackedTensor(StoredTensor, ABC):
    """One matrix, or one for each expert, seen as float32.

    Attributes:
        block_dtype: The type of a file, by its ``--dtype``, that keeps the blocks.
    """

    block_dtype: ClassVar[str]

    @abstractmethod
    def values(self, i_matrix: int, index: Rows) -> NDArray[np.float32]:
        """Some outputs' weights, ``[len(index), n_inputs]``."""

    @abstractmethod
    def blocks(self, i_matrix: int, index: Rows) -> NDArray[np.uint8]:
        """The same as ggml's blocks, one row of bytes for each output."""

    @abstractmethod
    def largest(self, i_matrix: int) -> NDArray[np.float32]:
        """Of each block, or of some of them together, what no weight is larger than."""
