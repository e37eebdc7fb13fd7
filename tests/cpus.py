"""Kernels as a smaller CPU than this one would choose them."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from crispvl import _core, _cpu
from own_kernels import kernels

_AVX2 = ["avx2", "fma", "f16c"]
_AVX512 = [*_AVX2, "avx512f", "avx512bw", "avx512vl", "avx512dq"]
_X86 = {
    "avx512": [*_AVX512, "avx512bf16", "avx512vnni"],
    "avxvnni": [*_AVX2, "avxvnni"],
    "avx2": _AVX2,
}
_ARM = {"i8mm": ["neon", "dotprod", "i8mm"], "dotprod": ["neon", "dotprod"]}
#: The features of CPUs that have kernels of their own.
FEATURES = _ARM if platform.machine() in ("aarch64", "arm64") else _X86


@contextmanager
def cpu_with(name: str) -> Iterator[None]:
    """Models are loaded and run within as by that CPU; skips where this one cannot stand for it."""
    missing = set(FEATURES[name]) - set(_cpu.features())
    if missing:
        pytest.skip(f"this CPU has no {', '.join(sorted(missing))}")
    with _features(FEATURES[name]):
        if not _core.build_info()["kernels"]:
            pytest.skip("this build has no kernels of ours")
        yield


@contextmanager
def cpu_without_kernels() -> Iterator[None]:
    """Models are loaded and run within as by a CPU for which there is ggml alone."""
    with _features([]):
        yield


@contextmanager
def _features(names: list[str]) -> Iterator[None]:
    _limit(names)
    try:
        yield
    finally:
        _limit(list(_cpu.features()))


def _limit(names: list[str]) -> None:
    _core.limit_features(names)
    if kernels is not None:
        kernels.limit_features(names)
