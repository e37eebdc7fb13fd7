"""Reads ``.safetensors`` files in place: a length, a JSON header, then the tensors' bytes.

The header is checked against the file before anything is read through it, so a damaged file is
an error and never a wrong tensor.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crispvl.convert.stored_tensor import WORDS, StoredTensor, is_buffer
from crispvl.errors import ModelFileError

_MAX_HEADER_BYTES = 100_000_000


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one file; each is mapped into memory when it is loaded, and only then.

    Raises:
        ModelFileError: The header is no JSON, or it promises bytes that the file does not hold.
    """
    n_file_bytes = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        n_header_bytes = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= n_header_bytes <= min(n_file_bytes - 8, _MAX_HEADER_BYTES):
            raise _damaged(path, "a header within the file", f"a length of {n_header_bytes} bytes")
        try:
            header = json.loads(file.read(n_header_bytes))
        except (ValueError, RecursionError) as error:
            raise _damaged(path, "a header in JSON", str(error)) from None
    if not isinstance(header, dict):
        raise _damaged(path, "a JSON object as header", type(header).__name__)
    data = range(8 + n_header_bytes, n_file_bytes)
    return {
        name: _tensor(path, name, entry, data)
        for name, entry in header.items()
        if name != "__metadata__" and not is_buffer(name)
    }


def _tensor(path: Path, name: str, entry: Any, data: range) -> StoredTensor:
    try:
        dtype, shape = str(entry["dtype"]), tuple(int(n) for n in entry["shape"])
        begin, end = (int(n) for n in entry["data_offsets"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise _damaged(path, f"dtype, shape and offsets of '{name}'", repr(entry)) from None
    if dtype not in WORDS:
        raise _damaged(path, f"'{name}' to be one of {', '.join(WORDS)}", dtype)
    word = WORDS[dtype]
    n_bytes = math.prod(shape) * word.itemsize
    inside = min(shape, default=0) >= 0 and 0 <= begin <= end <= len(data)
    if not inside or end - begin != n_bytes:
        raise _damaged(
            path, f"{n_bytes} bytes for '{name}' {list(shape)}", f"bytes {begin} to {end}"
        )

    def load() -> NDArray[Any]:
        if n_bytes == 0:
            return np.empty(shape, word)
        return np.memmap(path, word, "r", data.start + begin, shape)

    return StoredTensor(dtype=dtype, shape=shape, load=load)


def _damaged(path: Path, expected: str, found: str) -> ModelFileError:
    return ModelFileError(
        f"[{path.name}] expected {expected}; found {found}; download the file again"
    )
