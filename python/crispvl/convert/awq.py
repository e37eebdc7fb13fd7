"""4-bit AWQ checkpoints: packed weights, as numbers or as Q4_1 blocks.

A weight of AWQ (Lin et al. 2023, arXiv 2306.00978; the GEMM layout of autoawq and lmdeploy) is
``scale * (code - zero)``, with codes and zeros in 0…15 and a float16 scale for each group of inputs
of one output. A Q4_1 block of ggml holds 32 weights ``d * code + m`` with float16 d and m. So a
group becomes blocks with ``d = scale`` and ``m = -scale * zero``, or, the codes counted from the
other end, ``d = -scale`` and ``m = scale * (15 - zero)``. Only m can need rounding to float16, and
of the two forms the one whose m is nearer is taken: it is exact for the zeros 0, 1, 2, 4, 7, 8, 11,
13, 14 and 15 whatever the scale is, and for the others off by at most scale * 6 / 2048, for all
weights of the group alike. That is less than the rounding to float16 that AWQ's own kernels do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from crispvl.convert.packed import PackedTensor
from crispvl.convert.rows import Rows
from crispvl.convert.section import Section
from crispvl.convert.stored_tensor import StoredTensor
from crispvl.errors import ModelFileError

# Columns of eight that share a 32-bit word, from its lowest four bits up.
_COLUMNS = np.array([0, 2, 4, 6, 1, 3, 5, 7])
_SHIFT_OF_COLUMN = 4 * np.argsort(_COLUMNS)

_N_BLOCK = 32  # weights of a Q4_1 block
_N_WORD = 8  # codes in a word


@dataclass(frozen=True)
class AwqTensor(PackedTensor):
    """A packed matrix; seen as ``[n_outputs, n_inputs]`` of float32.

    Attributes:
        qweight: int32 ``[n_inputs, n_outputs / 8]``, eight codes in a word.
        qzeros: int32 ``[n_groups, n_outputs / 8]``.
        scales: float16 ``[n_groups, n_outputs]``.
    """

    block_dtype: ClassVar[str] = "q4_1"
    qweight: StoredTensor
    qzeros: StoredTensor
    scales: StoredTensor

    def values(self, i_matrix: int, index: Rows) -> NDArray[np.float32]:
        """Exact, since 11 bits of scale times 5 fit float32."""
        codes, zeros, scales = self._grouped(index)
        values: NDArray[np.float32] = scales[..., None] * (codes - zeros[..., None])
        return values.reshape(len(index), -1)

    def blocks(self, i_matrix: int, index: Rows) -> NDArray[np.uint8]:
        """Those of Q4_1: d, m, then 16 bytes with codes i and i + 16."""
        codes, zeros, scales = self._grouped(index)
        up, up_error = _rounded(-scales * zeros)
        down, down_error = _rounded(scales * (15 - zeros))
        reversed_ = down_error < up_error
        words = np.where(reversed_[..., None], 15 - codes, codes).astype(np.uint8)
        n_groups, n_group = words.shape[1:]
        halves = words.reshape(len(index), n_groups, n_group // _N_BLOCK, 2, _N_BLOCK // 2)
        blocks = np.empty((*halves.shape[:3], 4 + _N_BLOCK // 2), np.uint8)
        d = np.where(reversed_, -scales, scales).astype("<f2")
        for at, numbers in ((0, d), (2, np.where(reversed_, down, up))):
            column = np.ascontiguousarray(numbers)[..., None].view(np.uint8)
            blocks[..., at : at + 2] = column[:, :, None]
        blocks[..., 4:] = halves[..., 0, :] | halves[..., 1, :] << 4
        return blocks.reshape(len(index), -1)

    def largest(self, i_matrix: int) -> NDArray[np.float32]:
        """Fifteen times the scale of each group."""
        scales: NDArray[np.float32] = 15 * self.scales.load().astype(np.float32)
        return scales

    def _grouped(
        self, index: Rows
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Codes ``[n, n_groups, n_group]``, zeros and scales ``[n, n_groups]`` of some outputs."""
        scales = self.scales.load()[:, index].T.astype(np.float32)
        codes = _unpacked(self.qweight.load(), index).T.reshape(*scales.shape, -1)
        zeros = _unpacked(self.qzeros.load(), index).T
        return codes.astype(np.float32), zeros.astype(np.float32), scales


def _unpacked(words: NDArray[Any], columns: Rows) -> NDArray[Any]:
    return words[:, columns // _N_WORD] >> _SHIFT_OF_COLUMN[columns % _N_WORD] & 15


def _rounded(values: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Numbers in float16, and how far they are off."""
    with np.errstate(over="ignore"):
        short = values.astype("<f2")
    return short, np.abs(short.astype(np.float64) - values)


def is_awq(method: Any) -> bool:
    """Whether a config's ``quantization_config`` names AWQ."""
    return isinstance(method, Mapping) and method.get("quant_method") == "awq"


def awq_settings(methods: Iterable[Any]) -> Section | None:
    """The ``quantization_config`` that names AWQ.

    Raises:
        ModelFileError: Another kind of AWQ.
    """
    for settings in filter(is_awq, methods):
        section = Section(settings, "quantization_config")
        section.expect("bits", 4)
        section.expect("zero_point", True, None)
        section.expect("version", "gemm", "GEMM", None)
        return section
    return None


def unpack_matrices(
    weights: Mapping[str, StoredTensor], settings: Section | None
) -> dict[str, StoredTensor]:
    """A checkpoint's tensors, each packed matrix as one `AwqTensor` named like a plain weight.

    Raises:
        ModelFileError: Packed tensors that do not fit each other.
    """
    if settings is None:
        return dict(weights)
    n_group = settings.raw("group_size")
    unpacked = {n: t for n, t in weights.items() if not n.endswith(_PARTS)}
    for name in weights:
        if name.endswith(".qweight"):
            module = name.removesuffix(".qweight")
            unpacked[f"{module}.weight"] = _packed(module, weights, n_group)
    return unpacked


_PARTS = (".qweight", ".qzeros", ".scales")


def _packed(module: str, weights: Mapping[str, StoredTensor], n_group: Any) -> AwqTensor:
    missing = [part for part in _PARTS if module + part not in weights]
    if missing:
        raise _unusable(module, "qweight, qzeros and scales", f"no {' and no '.join(missing)}")
    qweight, qzeros, scales = (weights[module + part] for part in _PARTS)
    n_inputs = qweight.shape[0] if len(qweight.shape) == 2 else 0
    n_outputs = qweight.shape[-1] * _N_WORD
    if n_group == -1:
        n_group = n_inputs
    if not isinstance(n_group, int) or n_group < 1 or n_group % _N_BLOCK or n_inputs % n_group:
        raise _unusable(module, f"groups of a multiple of {_N_BLOCK} inputs", f"{n_group}")
    n_groups = n_inputs // n_group
    kinds = (qweight.dtype, qzeros.dtype, scales.dtype)
    shapes = (qzeros.shape, scales.shape)
    if kinds != ("I32", "I32", "F16") or shapes != (
        (n_groups, n_outputs // _N_WORD),
        (n_groups, n_outputs),
    ):
        raise _unusable(
            module, f"int32 zeros and float16 scales of {n_groups} groups", f"{kinds} {shapes}"
        )

    def load() -> NDArray[np.float32]:
        return tensor.values(0, np.arange(n_outputs))

    tensor = AwqTensor("F32", (n_outputs, n_inputs), load, qweight, qzeros, scales)
    return tensor


def _unusable(module: str, expected: str, found: str) -> ModelFileError:
    return ModelFileError(
        f"[{module}] expected AWQ's {expected}; found {found}; download the checkpoint again, or "
        "convert the original one"
    )
