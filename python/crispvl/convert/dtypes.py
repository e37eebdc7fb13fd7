"""The type of each tensor, by the rules of llama.cpp's converter, and its bytes in that type."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from numpy.typing import NDArray

from crispvl.convert.packed import PackedTensor
from crispvl.convert.stored_tensor import StoredTensor
from crispvl.convert.tensor_plan import TensorPlan
from crispvl.errors import ModelFileError

DTYPES = ("f32", "f16", "bf16", "q8_0", "q4_1", "mxfp4")
PACKED_DTYPES = ("q4_1", "mxfp4")
"""What keeps the blocks of a checkpoint that is packed so, and is for no other."""

# general.file_type
FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "bf16": gguf.LlamaFileType.MOSTLY_BF16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    "q4_1": gguf.LlamaFileType.MOSTLY_Q4_1,
    "mxfp4": gguf.LlamaFileType.MOSTLY_MXFP4_MOE,
}

# Rows are converted in pieces of about this size, so memory does not grow with the tensor.
_CHUNK_BYTES = 32 * 1024 * 1024


_MATRICES = {
    "f16": Type.F16,
    "bf16": Type.BF16,
    "q8_0": Type.Q8_0,
    "q4_1": Type.F16,
    "mxfp4": Type.BF16,
}


@dataclass(frozen=True)
class Encoding:
    """The type a tensor is written in, and whether that is less than what was asked for."""

    type: Type
    fallback: bool = False


def choose_type(plan: TensorPlan, dtype: str) -> Encoding:
    """The type of one tensor in a file of ``dtype``.

    Vectors, norms, class and position embeddings stay in float32. The patch kernel is float16 in
    an f16 or q4_1 file and float32 otherwise. Rows that are no multiple of a q8_0 block become
    float16. In a q4_1 or mxfp4 file the matrices that are packed in the checkpoint stay so; the
    others are float16 beside AWQ's float16 scales, and bfloat16, which gpt-oss's are, beside MXFP4.
    """
    if dtype == "f32" or plan.precise:
        return Encoding(Type.F32)
    if len(plan.shape) == 4:
        return Encoding(Type.F16 if dtype in ("f16", "q4_1") else Type.F32)
    if dtype in PACKED_DTYPES and plan.packed == dtype:
        return Encoding(Type[dtype.upper()])
    wanted = _MATRICES[dtype]
    if plan.shape[-1] % gguf.GGML_QUANT_SIZES[wanted][0]:
        return Encoding(Type.F16, fallback=True)
    return Encoding(wanted)


def n_bytes(shape: tuple[int, ...], kind: Type) -> int:
    """Size of a tensor in a file, in bytes, without padding."""
    n_block, n_block_bytes = gguf.GGML_QUANT_SIZES[kind]
    return math.prod(shape) // n_block * n_block_bytes


def encode(
    plan: TensorPlan, tensors: Sequence[StoredTensor], kind: Type
) -> Iterator[NDArray[np.uint8]]:
    """The tensor's bytes, some rows at a time.

    Args:
        plan: Which rows, and the shape in the file.
        tensors: Where the words come from, the plan's sources in order.
        kind: Type to write.

    Raises:
        ModelFileError: A weight is NaN, infinite or beyond float32.
    """
    if plan.values:
        yield _to_type(plan, np.array(plan.values, "<f4"), "F32", kind)
    for tensor in tensors:
        if isinstance(tensor, PackedTensor):
            yield from _encode_packed(plan, tensor, kind)
            continue
        words = tensor.load()
        matrices = words if plan.stacked else (words.reshape(_without_leading_ones(plan)),)
        for matrix in matrices:
            yield from _encode_matrix(plan, matrix, tensor.dtype, kind)


def _encode_packed(
    plan: TensorPlan, tensor: PackedTensor, kind: Type
) -> Iterator[NDArray[np.uint8]]:
    taken = np.arange(plan.shape[-2]) if plan.rows is None else plan.rows
    step = _rows_at_once(plan.shape[-1])
    keeps_blocks = kind.name.lower() == tensor.block_dtype
    for i_matrix in range(math.prod(plan.shape[:-2])):
        _check_finite(plan, tensor.largest(i_matrix))
        for begin in range(0, len(taken), step):
            index = taken[begin : begin + step]
            if keeps_blocks:
                yield tensor.blocks(i_matrix, index).reshape(-1)
            else:
                yield _to_type(plan, tensor.values(i_matrix, index), tensor.dtype, kind)


def _encode_matrix(
    plan: TensorPlan, words: NDArray[Any], dtype: str, kind: Type
) -> Iterator[NDArray[np.uint8]]:
    """One stored matrix, or vector, or kernel."""
    words = words.T if plan.transposed else words
    n_rows = len(words) if plan.rows is None else len(plan.rows)
    step = _rows_at_once(math.prod(words.shape[1:]))
    for begin in range(0, n_rows, step):
        end = min(begin + step, n_rows)
        chunk = words[begin:end] if plan.rows is None else words[plan.rows[begin:end]]
        yield _to_type(plan, chunk, dtype, kind)


def _without_leading_ones(plan: TensorPlan) -> tuple[int, ...]:
    """The stored shape with as many dimensions as the file's, where it has more."""
    return plan.source_shape[-len(plan.shape) :]


def _rows_at_once(n_columns: int) -> int:
    return max(1, _CHUNK_BYTES // (n_columns * 4))


def _to_type(plan: TensorPlan, words: NDArray[Any], dtype: str, kind: Type) -> NDArray[np.uint8]:
    values = to_float32(words, dtype)
    _check_finite(plan, values)
    if dtype == kind.name:
        return np.ascontiguousarray(words).reshape(-1).view(np.uint8)
    if kind == Type.F16:
        with np.errstate(over="ignore"):  # the caller counts infinities
            return values.astype("<f2").reshape(-1).view(np.uint8)
    data: NDArray[Any] = gguf.quantize(values, kind)
    return np.ascontiguousarray(data).reshape(-1).view(np.uint8)


def _check_finite(plan: TensorPlan, values: NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise ModelFileError(
            f"[{', '.join(plan.sources)}] expected numbers that float32 holds; found NaN, infinity "
            "or more; the checkpoint is damaged, or its training diverged"
        )


def to_float32(words: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    """Numbers from stored words; exact for every type but F64, whose largest become infinite."""
    if dtype == "BF16":
        wide: NDArray[np.float32] = (words.astype("<u4") << 16).view("<f4")
        return wide
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(words, "<f4")
