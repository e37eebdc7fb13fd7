"""Kernels as a smaller CPU than this one would choose them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from crispvl import _core, _cpu

_AVX2 = ["avx2", "fma", "f16c"]
_AVX512 = [*_AVX2, "avx512f", "avx512bw", "avx512vl", "avx512dq"]
#: The features of CPUs, by the BF16 kernels that are the best for them.
FEATURES = {"avx512_bf16": [*_AVX512, "avx512bf16", "avx512vnni"], "avx2": _AVX2}


@contextmanager
def cpu_for(bf16_kernels: str) -> Iterator[None]:
    """Models loaded within are served as by that CPU; skips where this one cannot stand for it."""
    _core.kernels.limit_features(FEATURES[bf16_kernels])
    try:
        if _core.kernels.bf16_kernels_name() != bf16_kernels:
            pytest.skip(f"this CPU cannot run the kernels of {bf16_kernels}")
        yield
    finally:
        _core.kernels.limit_features(list(_cpu.features()))
