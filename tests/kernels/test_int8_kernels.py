"""The 8-bit kernels of each instruction set against numpy on gguf's own dequantised weights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import gguf
import numpy as np
import pytest
from cpus import FEATURES, cpu_with
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from own_kernels import kernels

if kernels is None:
    pytest.skip("not built: CRISPVL_TEST_KERNELS is off", allow_module_level=True)


@pytest.fixture(autouse=True, params=FEATURES)
def cpu(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test runs the kernels of one instruction set."""
    with cpu_with(request.param):
        yield


Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]

QUANTISED = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k", "panels"]
N_THREADS = st.integers(1, 5)
SEEDS = st.integers(0, 1000)
#: Where the halves that scale a block are, by type: bytes from the block's start.
SCALE_OFFSETS = {"q4_0": [0], "q4_1": [0, 2], "q5_0": [0], "q5_1": [0, 2], "q8_0": [0]} | {
    "q4_k": [0, 2], "q5_k": [0, 2], "q6_k": [208], "panels": [0]
}  # fmt: skip


def stored_type(type_name: str) -> gguf.GGMLQuantizationType:
    """Panels are made of Q8_0."""
    return gguf.GGMLQuantizationType["Q8_0" if type_name == "panels" else type_name.upper()]


def block_sizes(type_name: str) -> tuple[int, int]:
    return gguf.GGML_QUANT_SIZES[stored_type(type_name)]


def random_weights(type_name: str, n_out: int, n_in: int, rng: np.random.Generator) -> Bytes:
    """Any bits are a weight, as long as the scales are numbers."""
    n_values, n_bytes = block_sizes(type_name)
    blocks = rng.integers(0, 256, (n_out, n_in // n_values, n_bytes), np.uint8)
    for offset in SCALE_OFFSETS[type_name]:
        scales = rng.uniform(-0.02, 0.02, blocks.shape[:2]).astype(np.float16)
        blocks[:, :, offset : offset + 2] = scales[..., None].view(np.uint8)
    return blocks.reshape(n_out, -1)


def dequantised(type_name: str, weights: Bytes) -> Doubles:
    values = gguf.quants.dequantize(weights, stored_type(type_name))
    return values.astype(np.float64)


def rounded(x: Floats) -> Doubles:
    """Activations in blocks of 32 as the kernels round them."""
    blocks = x.astype(np.float32).reshape(len(x), -1, 32)
    largest = np.abs(blocks).max(-1, keepdims=True)
    inverse = np.where(largest > 0, np.float32(127) / np.where(largest > 0, largest, 1), 0)
    q = np.rint((blocks * inverse.astype(np.float32)).astype(np.float32))
    return (q.astype(np.float64) * (largest / np.float32(127))).reshape(x.shape)


def assert_close(found: Floats, expected: Doubles, scale: float) -> None:
    """Within F32 rounding of sums whose terms are as large as ``scale``."""
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 2e-6 * scale


def magnitude(x: Doubles, w: Doubles) -> float:
    return float((np.abs(x) @ np.abs(w).T).max()) + 1.0


@pytest.mark.parametrize("type_name", QUANTISED)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 19), st.integers(1, 5), st.integers(1, 150), N_THREADS, SEEDS)
def test_quantised_rows_times_rounded_activations_equal_numpy(
    type_name: str, n_tokens: int, n_blocks: int, n_out: int, n_threads: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    n_in = n_blocks * block_sizes(type_name)[0]
    weights = random_weights(type_name, n_out, n_in, rng)
    x = (rng.standard_normal((n_tokens, n_in)) * 3 + 1).astype(np.float32)
    bias = rng.standard_normal(n_out).astype(np.float32)
    row_type = getattr(kernels.RowType, type_name)
    found = kernels.rows_product(row_type, weights, x, bias=bias, n_threads=n_threads)
    w = dequantised(type_name, weights)
    assert_close(found, rounded(x) @ w.T + bias, magnitude(rounded(x), w))


@pytest.mark.parametrize("type_name", ["f16", "bf16", "f32"])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 19), st.integers(1, 70), st.integers(1, 150), N_THREADS, SEEDS)
def test_rows_of_floats_equal_numpy(
    type_name: str, n_tokens: int, n_in: int, n_out: int, n_threads: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((n_out, n_in), np.float32)
    if type_name == "f16":
        raw: NDArray[np.generic] = w.astype(np.float16)
        w = raw.astype(np.float32)
    elif type_name == "bf16":
        raw = (w.view(np.uint32) >> 16).astype(np.uint16)
        w = (raw.astype(np.uint32) << 16).view(np.float32)
    else:
        raw = w
    x = rng.standard_normal((n_tokens, n_in), np.float32)
    row_type = getattr(kernels.RowType, type_name)
    bytes_ = np.ascontiguousarray(raw).view(np.uint8).reshape(n_out, -1)
    found = kernels.rows_product(row_type, bytes_, x, n_threads=n_threads)
    wide, exact = w.astype(np.float64), x.astype(np.float64)
    assert_close(found, exact @ wide.T, magnitude(exact, wide))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.sampled_from(QUANTISED), st.integers(1, 9), st.integers(1, 150), N_THREADS, SEEDS)
def test_rows_add_to_a_residual(
    type_name: str, n_tokens: int, n_out: int, n_threads: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weights = random_weights(type_name, n_out, 256, rng)
    x = rng.standard_normal((n_tokens, 256), np.float32)
    residual = rng.standard_normal((n_tokens, n_out), np.float32)
    row_type = getattr(kernels.RowType, type_name)
    found = kernels.rows_product(row_type, weights, x, residual=residual, n_threads=n_threads)
    w = dequantised(type_name, weights)
    assert_close(found, residual + rounded(x) @ w.T, magnitude(rounded(x), w))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.sampled_from(QUANTISED), st.integers(1, 9), st.integers(1, 150), N_THREADS, SEEDS)
def test_swiglu_multiplies_the_ups_by_their_gates(
    type_name: str, n_tokens: int, n_out: int, n_threads: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    gates, ups = (random_weights(type_name, n_out, 256, rng) for _ in range(2))
    x = rng.standard_normal((n_tokens, 256), np.float32) / 8
    row_type = getattr(kernels.RowType, type_name)
    found = kernels.rows_product(row_type, gates, x, up_weights=ups, n_threads=n_threads)
    g, u = (rounded(x) @ dequantised(type_name, w).T for w in (gates, ups))
    expected = g / (1 + np.exp(-g)) * u
    assert np.all(np.abs(found - expected) <= 1e-4 * (1 + np.abs(expected)))


@pytest.mark.parametrize("type_name", [*QUANTISED, "f16", "bf16", "f32"])
@pytest.mark.parametrize("n_tokens", [1, 2, 3])
def test_a_row_gives_the_same_whatever_is_read_beside_it(type_name: str, n_tokens: int) -> None:
    rng = np.random.default_rng(n_tokens)
    if type_name in QUANTISED:
        gates, ups = (random_weights(type_name, 150, 512, rng) for _ in range(2))
    else:
        floats = rng.standard_normal((2, 150, 512)).astype("f4" if type_name == "f32" else "f2")
        gates, ups = floats.view(np.uint8).reshape(2, 150, -1)
    x = rng.standard_normal((n_tokens, 512), np.float32) / 8
    bias, residual = rng.standard_normal(150, np.float32), rng.standard_normal((n_tokens, 150))
    residual = residual.astype(np.float32)
    product = partial(kernels.rows_product, getattr(kernels.RowType, type_name), n_threads=1)
    groups = [slice(i, i + 16) for i in range(0, 150, 16)]
    added = [product(gates[g], x, bias=bias[g], residual=residual[:, g]) for g in groups]
    found = product(gates, x, bias=bias, residual=residual)
    np.testing.assert_array_equal(found, np.concatenate(added, 1))
    gated = [product(gates[g], x, up_weights=ups[g]) for g in groups]
    np.testing.assert_array_equal(product(gates, x, up_weights=ups), np.concatenate(gated, 1))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 6), st.integers(1, 9), st.booleans(), N_THREADS, SEEDS)
def test_activations_are_rounded_to_the_nearest_of_255_steps(
    n_rows: int, n_blocks: int, with_norm: bool, n_threads: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((n_rows, 32 * n_blocks)) * 5).astype(np.float32)
    x[0, :32] = 0
    weight = rng.standard_normal(x.shape[1]).astype(np.float32) if with_norm else None
    values, scales, sums = kernels.quantise_rows(
        x, weight=weight, epsilon=1e-6, n_threads=n_threads
    )
    expected = x.astype(np.float64)
    if weight is not None:
        expected = expected / np.sqrt((expected**2).mean(1, keepdims=True) + 1e-6) * weight
    q = values.astype(np.int64).reshape(n_rows, n_blocks, 32)
    found = (q * scales[..., None]).reshape(x.shape)
    steps = np.repeat(scales, 32, axis=1)
    assert np.all(np.abs(found - expected) <= 0.501 * steps + 1e-9)
    assert np.allclose(sums, (q * scales[..., None].astype(np.float64)).sum(-1), atol=1e-4)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 6), st.integers(1, 9), N_THREADS, SEEDS)
def test_layer_norm_is_applied_before_the_rounding(
    n_rows: int, n_blocks: int, n_threads: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((n_rows, 32 * n_blocks)) * 5 + 2).astype(np.float32)
    weight, bias = rng.standard_normal((2, x.shape[1]), np.float32)
    values, scales, _ = kernels.quantise_rows(
        x, weight=weight, bias=bias, epsilon=1e-6, subtract_mean=True, n_threads=n_threads
    )
    centred = x.astype(np.float64) - x.mean(1, keepdims=True, dtype=np.float64)
    expected = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-6) * weight + bias
    assert np.all(np.abs(restored(values, scales) - expected) <= 0.501 * steps_of(scales) + 1e-5)


def test_halves_are_rounded_as_the_floats_they_are() -> None:
    x = np.random.default_rng(1).standard_normal((5, 96)).astype(np.float32)
    bits = (x.view(np.uint32) >> 16).astype(np.uint16)
    floats = (bits.astype(np.uint32) << 16).view(np.float32)
    for found, expected in zip(
        kernels.quantise_bf16_rows(bits, 3), kernels.quantise_rows(floats), strict=True
    ):
        assert np.array_equal(found, expected)


def restored(values: Bytes, scales: Floats) -> Doubles:
    q = values.astype(np.float64).reshape(*scales.shape, 32)
    return np.asarray((q * scales[..., None]).reshape(values.shape))


def steps_of(scales: Floats) -> Floats:
    return np.repeat(scales, 32, axis=1)


def product(x: Floats, weights: Bytes, bias: Floats) -> tuple[Doubles, float]:
    w = dequantised("q8_0", weights)
    return rounded(x) @ w.T + bias, magnitude(rounded(x), w)


GEMM_SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 6), st.integers(1, 5))


def gemm_case(shape: tuple[int, int, int], seed: int) -> tuple[Floats, Bytes, Floats]:
    n_rows, n_blocks, n_out_blocks = shape
    rng = np.random.default_rng(seed)
    weights = random_weights("q8_0", 32 * n_out_blocks, 32 * n_blocks, rng)
    x = rng.standard_normal((n_rows, 32 * n_blocks), np.float32)
    return x, weights, rng.standard_normal(32 * n_out_blocks).astype(np.float32)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(GEMM_SHAPES, N_THREADS, SEEDS)
def test_packed_product_is_the_product_rounded_to_bf16(
    shape: tuple[int, int, int], n_threads: int, seed: int
) -> None:
    x, weights, bias = gemm_case(shape, seed)
    expected, scale = product(x, weights, bias)
    bits = kernels.gemm_int8(x, weights, bias=bias, n_threads=n_threads)
    found = (bits.astype(np.uint32) << 16).view(np.float32)
    assert np.all(np.abs(found - expected) <= np.abs(expected) * 2.0**-8 + 2e-6 * scale)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(GEMM_SHAPES, st.booleans(), N_THREADS, SEEDS)
def test_packed_product_adds_to_a_residual_scaled(
    shape: tuple[int, int, int], scaled: bool, n_threads: int, seed: int
) -> None:
    x, weights, bias = gemm_case(shape, seed)
    expected, size = product(x, weights, bias)
    rng = np.random.default_rng(seed + 1)
    residual = rng.standard_normal(expected.shape, np.float32)
    scale = rng.standard_normal(len(bias)).astype(np.float32) if scaled else None
    found = kernels.gemm_int8(
        x, weights, bias=bias, residual=residual, scale=scale, n_threads=n_threads
    )
    assert_close(found, residual + (1 if scale is None else scale) * expected, 4 * size)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(GEMM_SHAPES, N_THREADS, SEEDS)
def test_packed_product_goes_through_gelu_into_rounded_rows(
    shape: tuple[int, int, int], n_threads: int, seed: int
) -> None:
    from math import erf

    x, weights, bias = gemm_case(shape, seed)
    y, size = product(x, weights, bias)
    expected = 0.5 * y * (1 + np.vectorize(erf)(y / np.sqrt(2)))
    values, scales, sums = kernels.gemm_int8(x, weights, bias=bias, gelu=True, n_threads=n_threads)
    found = restored(values, scales)
    assert np.all(np.abs(found - expected) <= 0.501 * steps_of(scales) + 4e-6 * size)
    assert np.allclose(sums, found.reshape(*scales.shape, 32).sum(-1), atol=1e-4 * size)


@pytest.mark.parametrize("type_name", QUANTISED)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 70), st.booleans(), SEEDS)
def test_weights_unpacked_for_many_rows_give_the_same_product(
    type_name: str, n_rows: int, n_blocks: int, n_out: int, with_residual: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    n_in = n_blocks * block_sizes(type_name)[0]
    weights = random_weights(type_name, n_out, n_in, rng)
    x = (rng.standard_normal((n_rows, n_in)) * 3 + 1).astype(np.float32)
    bias = rng.standard_normal(n_out).astype(np.float32)
    residual = rng.standard_normal((n_rows, n_out), np.float32) if with_residual else None
    row_type = getattr(kernels.RowType, type_name)
    found = kernels.gemm_int8_columns(row_type, weights, x, bias=bias, residual=residual)
    w = dequantised(type_name, weights)
    expected = rounded(x) @ w.T + bias + (0 if residual is None else residual)
    assert_close(found, expected, magnitude(rounded(x), w))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.sampled_from(QUANTISED), st.integers(1, 20), st.integers(1, 3), st.booleans(), SEEDS)
def test_gates_and_ups_unpacked_for_many_rows_give_rounded_rows(
    type_name: str, n_rows: int, n_out_blocks: int, with_bias: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    n_out = 32 * n_out_blocks
    gates, ups = (random_weights(type_name, n_out, 256, rng) for _ in range(2))
    biases = rng.standard_normal((2, n_out)).astype(np.float32) if with_bias else (None, None)
    x = rng.standard_normal((n_rows, 256), np.float32) / 8
    row_type = getattr(kernels.RowType, type_name)
    values, scales, _ = kernels.gemm_int8_columns(
        row_type, gates, x, up_weights=ups, bias=biases[0], up_bias=biases[1]
    )
    g, u = (
        rounded(x) @ dequantised(type_name, w).T + (0 if bias is None else bias)
        for w, bias in zip((gates, ups), biases, strict=True)
    )
    expected = g / (1 + np.exp(-g)) * u
    error = np.abs(restored(values, scales) - expected)
    assert np.all(error <= 0.501 * steps_of(scales) + 1e-4 * (1 + np.abs(expected)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_does_not_become_one(bad: float) -> None:
    x = np.ones((1, 64), np.float32)
    x[0, 40] = bad
    weights = random_weights("q8_0", 3, 64, np.random.default_rng(0))
    assert np.isnan(kernels.rows_product(kernels.RowType.q8_0, weights, x)).all()
