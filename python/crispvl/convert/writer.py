"""Writes GGUF files: header first, then tensor by tensor, visible only when complete."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType
from numpy.typing import NDArray

from crispvl.convert.dtypes import n_bytes
from crispvl.convert.metadata import Entry
from crispvl.errors import ModelFileError
from crispvl.results.outputs import check_outputs, whole_files


@dataclass(frozen=True, kw_only=True)
class OutputTensor:
    """One tensor of a file; ``chunks`` yields its bytes in order."""

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType
    chunks: Callable[[], Iterator[NDArray[np.uint8]]]

    @property
    def n_bytes(self) -> int:
        """Size in the file, without padding."""
        return n_bytes(self.shape, self.type)


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """One file: its place, architecture, keys and tensors."""

    path: Path
    arch: str
    type: str
    entries: Sequence[Entry]
    tensors: Sequence[OutputTensor]


def write_files(
    files: Sequence[OutputFile],
    progress: Callable[[str, int], None] | None = None,
    check: Callable[[Sequence[Path]], None] | None = None,
) -> None:
    """Writes all files or none; see `crispvl.results.outputs.whole_files`.

    Args:
        files: What to write.
        progress: Called with a tensor's name and the bytes just written.
        check: Called with the files' paths when only their headers are written; its error ends
            the work.

    Raises:
        FileNotFoundError: There is no folder for one of them.
        ValueError: One is a folder, a FIFO or a device.
    """
    check_outputs([f.path for f in files], regular=True)
    with whole_files([f.path for f in files], durable=True) as parts:
        for file, part in zip(files, parts, strict=True):
            write_header(part, file)
        if check is not None:
            check(parts)
        for file, part in zip(files, parts, strict=True):
            _append_tensors(part, file.tensors, progress)


def write_header(path: Path, file: OutputFile) -> None:
    """Writes all that comes before the tensors' bytes: the model without its weights.

    Raises:
        ModelFileError: A number is beyond what the format holds.
    """
    writer = gguf.GGUFWriter(path, file.arch)
    try:
        writer.add_key_value("general.type", file.type, GGUFValueType.STRING)
        for key, value, kind in file.entries:
            writer.add_key_value(key, value, kind)
        for tensor in file.tensors:
            writer.add_tensor_info(
                tensor.name, tensor.shape, np.dtype("f4"), tensor.n_bytes, raw_dtype=tensor.type
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
    except (struct.error, OverflowError) as error:
        raise ModelFileError(
            f"[convert] expected numbers that a GGUF file holds; found others ({error}); "
            "check config.json and the tokenizer's files"
        ) from error
    finally:
        writer.close()


def _append_tensors(
    path: Path, tensors: Iterable[OutputTensor], progress: Callable[[str, int], None] | None
) -> None:
    with path.open("ab") as out:
        _pad(out)
        for tensor in tensors:
            for chunk in tensor.chunks():
                out.write(chunk.data)
                if progress is not None:
                    progress(tensor.name, chunk.nbytes)
            _pad(out)


def _pad(out: BinaryIO) -> None:
    out.write(bytes(-out.tell() % gguf.GGUF_DEFAULT_ALIGNMENT))
