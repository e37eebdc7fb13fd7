"""What all writers share: a checkpoint's arrays and settings, and tensors in any type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from crispvl.convert.checkpoint import Checkpoint, read_checkpoint
from gguf import GGMLQuantizationType as Type
from numpy.typing import NDArray
from reference import Reference

Types = Mapping[str, Type]
"""Type by a pattern of the tensor's name; float32 where none matches."""


@dataclass(frozen=True)
class ForeignModel:
    """A checkpoint: ``reference`` for the arrays, ``settings`` for sizes and tokenizer."""

    reference: Reference
    settings: Checkpoint

    @classmethod
    def load(cls, folder: Path) -> ForeignModel:
        return cls(Reference(folder), read_checkpoint(folder))

    def array(self, name: str) -> NDArray[np.float32]:
        """An array under the reference's name."""
        return self.reference.checkpoint.weights[name].astype(np.float32)

    def linear(self, theirs: str, ours: str) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Weight and, where there is one, bias of a module."""
        for part in ("weight", "bias"):
            if f"{ours}.{part}" in self.reference.checkpoint.weights:
                yield f"{theirs}.{part}", self.array(f"{ours}.{part}")


def add_tensor(
    writer: gguf.GGUFWriter, name: str, array: NDArray[np.float32], types: Types
) -> None:
    """Adds an array, matrices in the type that the first matching pattern names."""
    kind = next((t for pattern, t in types.items() if re.search(pattern, name)), Type.F32)
    if array.ndim < 2 or name.endswith(".bias") or kind == Type.F32:
        writer.add_tensor(name, np.ascontiguousarray(array, np.float32))
    elif kind == Type.F16:
        writer.add_tensor(name, array.astype(np.float16))
    else:
        writer.add_tensor(name, gguf.quantize(array, kind), raw_dtype=kind)


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
