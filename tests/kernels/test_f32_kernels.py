"""The F32 kernels of each instruction set, and those of CPUs without one, against numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from cpus import FEATURES, cpu_with, cpu_without_kernels
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from own_kernels import kernels

if kernels is None:
    pytest.skip("not built: CRISPVL_TEST_KERNELS is off", allow_module_level=True)


@pytest.fixture(autouse=True, params=[*FEATURES, "none"])
def cpu(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test runs the kernels of one instruction set."""
    with cpu_without_kernels() if request.param == "none" else cpu_with(request.param):
        yield


Floats = NDArray[np.float32]
#: Around a vector's 16 and a block's 512 numbers.
SIZES = st.one_of(st.integers(1, 40), st.integers(500, 530), st.integers(1, 5000))
SEEDS = st.integers(0, 1000)


def logits(n: int, seed: int, spread: float = 5.0) -> Floats:
    return (spread * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def log_sum_exp(x: Floats) -> float:
    exact = x.astype(np.float64)
    return float(exact.max() + np.log(np.exp(exact - exact.max()).sum()))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SIZES, SEEDS, st.sampled_from([0.0, 0.01, 5.0, 1e3, 1e30]))
def test_a_rows_log_sum_equals_numpys(n: int, seed: int, spread: float) -> None:
    x = logits(n, seed, spread)
    expected = log_sum_exp(x)
    assert kernels.summarise_row(x)[0] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SIZES, SEEDS)
def test_the_first_of_equally_large_numbers_is_found(n: int, seed: int) -> None:
    x = np.round(logits(n, seed, 1.0))
    assert kernels.summarise_row(x)[1] == int(x.argmax())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SIZES, SEEDS, st.sampled_from([np.nan, np.inf]))
def test_one_number_that_is_none_leaves_no_finite_sum(n: int, seed: int, bad: float) -> None:
    x = logits(n, seed)
    x[seed % n] = bad
    assert not np.isfinite(kernels.summarise_row(x)[0])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SIZES, SEEDS)
def test_nothing_but_numbers_that_are_none_is_no_sum_and_index_0(n: int, seed: int) -> None:
    bad = np.random.default_rng(seed).choice(np.array([np.nan, -np.inf], np.float32), n)
    log_sum, i_first = kernels.summarise_row(bad)
    assert not np.isfinite(log_sum)
    assert i_first == 0 or bad[i_first] == -np.inf


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SIZES, SEEDS)
def test_minus_infinity_takes_no_part(n: int, seed: int) -> None:
    x = logits(n, seed)
    excluded = np.random.default_rng(seed).random(n) < 0.7
    excluded[seed % n] = False
    x[excluded] = -np.inf
    log_sum, i_first = kernels.summarise_row(x)
    assert log_sum == pytest.approx(log_sum_exp(x), rel=1e-6, abs=1e-6)
    assert i_first == int(x.argmax())
