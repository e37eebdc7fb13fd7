"""A tensor as a checkpoint stores it, whatever file it is in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Storage type to the word that numpy sees; bfloat16 has no numpy type and travels as its bits.
WORDS: Mapping[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I32": np.dtype("<i4"),
    "U8": np.dtype("u1"),
}

# Values that can be computed from the config; some exporters store them, in types of their own.
_BUFFERS = ("rotary_emb.inv_freq", "embeddings.position_ids")


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a checkpoint: type, shape in numpy order, and how to get its words."""

    dtype: str
    shape: tuple[int, ...]
    load: Callable[[], NDArray[Any]]


def is_buffer(name: str) -> bool:
    """Whether a stored tensor is passed over, whatever its type."""
    return name.endswith(_BUFFERS)
