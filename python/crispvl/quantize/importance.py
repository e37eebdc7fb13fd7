"""Importance matrices: files of mean squared activations per input column of each matrix.

The layout is llama.cpp's (``<tensor>.in_sum2`` and ``<tensor>.counts`` in a GGUF of type
``imatrix``), so files of either program serve both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType
from numpy.typing import NDArray

from crispvl.errors import ModelFileError
from crispvl.inputs.utf8 import encodable

_SUMS, _COUNTS = ".in_sum2", ".counts"
_CHUNK_TOKENS = 512


@dataclass(frozen=True)
class ImportanceMatrix:
    """Mean squared activations by tensor, and where they come from.

    They are float32 ``[n_columns]``, or ``[n_experts, n_columns]`` where a tensor holds experts.
    """

    columns: Mapping[str, NDArray[np.float32]]
    datasets: Sequence[str]
    n_chunks: int
    name: str
    sha256: str


def read_importance(path: str | Path) -> ImportanceMatrix:
    """Reads an importance matrix.

    Raises:
        FileNotFoundError: There is no such file.
        ModelFileError: It is damaged or something else.
    """
    from crispvl._core import GgufFile

    path = Path(path)
    file = GgufFile(str(path))
    if file.metadata.get("general.type") != "imatrix":
        raise ModelFileError(
            f"[imatrix] expected an importance matrix; found '{path}', a GGUF of another kind; "
            "make one with 'crispvl imatrix'"
        )
    values = {
        t["name"]: file.data(t["name"]).view(np.float32)
        for t in file.tensors
        if t["type"].lower() == "f32"
    }
    columns: dict[str, NDArray[np.float32]] = {}
    for name, sums in values.items():
        if not name.endswith(_SUMS):
            continue
        tensor = name.removesuffix(_SUMS)
        counts = values.get(tensor + _COUNTS)
        if counts is not None and counts.max(initial=0.0) > 0:
            columns[tensor] = _means(tensor, sums, counts)
    if not columns:
        raise ModelFileError(
            f"[imatrix] expected tensors named '*{_SUMS}' with their counts; found none in "
            f"'{path}'; make one with 'crispvl imatrix'"
        )
    return ImportanceMatrix(
        columns=columns,
        datasets=[str(d) for d in file.metadata.get("imatrix.datasets", [])],
        n_chunks=int(file.metadata.get("imatrix.chunk_count", 0)),
        name=encodable(path.name),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _means(
    name: str, sums: NDArray[np.float32], counts: NDArray[np.float32]
) -> NDArray[np.float32]:
    """By column, of each expert apart; those of one that was never chosen count alike."""
    if sums.size % counts.size:
        raise ModelFileError(
            f"[imatrix] expected sums for each of the {counts.size} experts of '{name}'; found "
            f"{sums.size} sums; make the importance matrix again"
        )
    by_expert = sums.reshape(counts.size, -1) / np.maximum(counts, 1)[:, None]
    usable = np.stack([_usable(name, means) for means in by_expert])
    return usable[0] if len(usable) == 1 else usable


def _usable(name: str, means: NDArray[np.float32]) -> NDArray[np.float32]:
    """A column that was never active still has to be written somehow: it counts a little."""
    if not np.isfinite(means).all() or (means < 0).any():
        raise ModelFileError(
            f"[imatrix] expected finite sums of squares for '{name}'; found others; make the "
            "importance matrix again"
        )
    mean = float(means.mean())
    if mean == 0.0:
        return np.ones_like(means)
    floored: NDArray[np.float32] = np.maximum(means / np.float32(mean), np.float32(1e-6))
    return floored


def write_importance(
    path: str | Path,
    sums: Mapping[str, tuple[NDArray[np.float32], int | NDArray[np.int64]]],
    datasets: Sequence[str],
) -> int:
    """Writes an importance matrix; the file appears only when it is complete.

    Args:
        path: File to write.
        sums: Per tensor, the sum of squares of each column and the number of activations summed;
            for experts, ``[n_experts, n_columns]`` and ``[n_experts]``.
        datasets: What the model read.

    Returns:
        The most activations that were summed for a tensor or an expert.
    """
    from crispvl.convert.writer import OutputFile, OutputTensor, write_files

    n_tokens = max((int(np.max(count)) for _, count in sums.values()), default=0)
    tensors = []
    for name in sorted(sums):
        values, count = sums[name]
        counts = np.asarray(count, np.float32).reshape(-1, 1)
        for suffix, array in ((_SUMS, values.reshape(len(counts), -1)), (_COUNTS, counts)):
            data = np.ascontiguousarray(array, "<f4").view(np.uint8)

            def chunks(data: NDArray[np.uint8] = data) -> Iterator[NDArray[np.uint8]]:
                yield data

            tensors.append(
                OutputTensor(
                    name=name + suffix,
                    shape=array.shape,
                    type=GGMLQuantizationType.F32,
                    chunks=chunks,
                )
            )
    entries = [
        ("imatrix.datasets", [encodable(name) for name in datasets], GGUFValueType.ARRAY),
        ("imatrix.chunk_count", -(-n_tokens // _CHUNK_TOKENS), GGUFValueType.UINT32),
        ("imatrix.chunk_size", _CHUNK_TOKENS, GGUFValueType.UINT32),
    ]
    write_files(
        [
            OutputFile(
                path=Path(path), arch="imatrix", type="imatrix", entries=entries, tensors=tensors
            )
        ]
    )
    return n_tokens
