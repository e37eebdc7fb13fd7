"""Experts in MXFP4, as gpt-oss is published: numbers of four bits that share an exponent.

A block of the OCP Microscaling format holds 32 codes of E2M1 (sign, two bits of exponent, one of
mantissa) and one power of two, E8M0. A checkpoint keeps a projection's codes as ``<name>_blocks``,
uint8 ``[n_experts, n_outputs, n_inputs / 32, 16]``, the first of two codes in the lower half of a
byte, and the exponents as ``<name>_scales``, uint8 ``[n_experts, n_outputs, n_inputs / 32]``
(transformers' ``integrations/mxfp4.py``). ggml's block has the exponent in front and puts codes i
and i + 16 into a byte. So nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from crispvl.convert.packed import PackedTensor
from crispvl.convert.rows import Rows
from crispvl.convert.stored_tensor import StoredTensor
from crispvl.errors import ModelFileError

N_BLOCK = 32
"""Weights that share an exponent."""

_E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)
_VALUES = np.concatenate([_E2M1, -_E2M1])
_EXPONENT_BIAS = 127
_NO_NUMBER = 255  # E8M0's NaN

_PARTS = ("_blocks", "_scales")


@dataclass(frozen=True)
class Mxfp4Tensor(PackedTensor):
    """A projection of all experts; seen as ``[n_experts, n_inputs, n_outputs]`` of float32.

    That is how gpt-oss's checkpoints in bfloat16 keep it.
    """

    block_dtype: ClassVar[str] = "mxfp4"
    codes: StoredTensor
    scales: StoredTensor

    def values(self, i_matrix: int, index: Rows) -> NDArray[np.float32]:
        """Exact: two bits of mantissa and a power of two."""
        numbers = _VALUES[self._unpacked(i_matrix, index)]
        exponents = self._exponents(i_matrix)[index].astype(np.int32) - _EXPONENT_BIAS
        scaled: NDArray[np.float32] = np.ldexp(numbers, exponents[..., None])
        return scaled.reshape(len(index), -1)

    def blocks(self, i_matrix: int, index: Rows) -> NDArray[np.uint8]:
        """The exponent, then 16 bytes with codes i and i + 16."""
        codes = self._unpacked(i_matrix, index)
        half = N_BLOCK // 2
        exponents = self._exponents(i_matrix)[index][..., None]
        joined = codes[..., :half] | codes[..., half:] << 4
        return np.concatenate([exponents, joined], axis=-1).reshape(len(index), -1)

    def largest(self, i_matrix: int) -> NDArray[np.float32]:
        """Six times the power of two of each block."""
        exponents = self._exponents(i_matrix)
        with np.errstate(over="ignore"):
            most: NDArray[np.float32] = np.ldexp(
                np.full(exponents.shape, _E2M1[-1]), exponents.astype(np.int32) - _EXPONENT_BIAS
            )
        most[exponents == _NO_NUMBER] = np.nan
        return most

    def _unpacked(self, i_matrix: int, index: Rows) -> NDArray[np.uint8]:
        """Codes ``[len(index), n_blocks, 32]``."""
        pairs: NDArray[np.uint8] = self.codes.load()[i_matrix][index]
        halves = np.stack([pairs & 15, pairs >> 4], axis=-1)
        return halves.reshape(*pairs.shape[:-1], N_BLOCK)

    def _exponents(self, i_matrix: int) -> NDArray[np.uint8]:
        exponents: NDArray[np.uint8] = self.scales.load()[i_matrix]
        return exponents


def is_mxfp4(method: Any) -> bool:
    """Whether a config's ``quantization_config`` names MXFP4."""
    return isinstance(method, Mapping) and method.get("quant_method") == "mxfp4"


def unpack_experts(weights: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """A checkpoint's tensors, codes and exponents of a projection as one `Mxfp4Tensor`.

    Raises:
        ModelFileError: The two do not fit each other, or one of them is missing.
    """
    unpacked = {n: t for n, t in weights.items() if not (t.dtype == "U8" and n.endswith(_PARTS))}
    for name in sorted(weights.keys() - unpacked.keys()):
        module = name.removesuffix(_PARTS[0]).removesuffix(_PARTS[1])
        unpacked[module] = _packed(module, weights)
    return unpacked


def _packed(module: str, weights: Mapping[str, StoredTensor]) -> Mxfp4Tensor:
    codes, scales = (weights.get(module + part) for part in _PARTS)
    if codes is None or scales is None:
        raise _unusable(module, "blocks and scales", "only one of them")
    if module in weights:
        raise _unusable(module, "blocks and scales alone", "the experts unpacked as well")
    n_bytes = N_BLOCK // 2
    if (codes.dtype, scales.dtype) != ("U8", "U8") or codes.shape != (*scales.shape, n_bytes):
        raise _unusable(
            module,
            f"blocks of {n_bytes} bytes with an exponent each",
            f"{list(codes.shape)} and {list(scales.shape)}",
        )
    if len(scales.shape) != 3:
        raise _unusable(module, "experts of rows of blocks", f"{list(scales.shape)}")
    n_experts, n_outputs, n_blocks = scales.shape
    shape = (n_experts, n_blocks * N_BLOCK, n_outputs)

    def load() -> NDArray[np.float32]:
        everything = np.arange(n_outputs)
        return np.stack([tensor.values(i, everything).T for i in range(n_experts)])

    tensor = Mxfp4Tensor("F32", shape, load, codes, scales)
    return tensor


def _unusable(module: str, expected: str, found: str) -> ModelFileError:
    return ModelFileError(
        f"[{module}] expected MXFP4's {expected}; found {found}; download the checkpoint again"
    )
