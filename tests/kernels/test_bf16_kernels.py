"""The BF16 kernels of each instruction set against plain numpy on the same rounded inputs."""

from __future__ import annotations

from collections.abc import Iterator

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


def rounded(x: Floats) -> NDArray[np.float64]:
    """Rounds to the nearest BF16, ties to even."""
    bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) & np.uint64(0xFFFF0000)
    return bits.astype(np.uint32).view(np.float32).astype(np.float64)


def erf(x: NDArray[np.float64]) -> NDArray[np.float64]:
    from math import erf as scalar

    return np.vectorize(scalar)(x)


def assert_close(found: Floats, expected: NDArray[np.float64], relative: float) -> None:
    assert found.shape == expected.shape
    worst = np.abs(found - expected).max()
    assert worst <= relative * max(1.0, np.abs(expected).max()), worst


shapes = st.tuples(st.integers(1, 40), st.integers(1, 60).map(lambda n: 2 * n), st.integers(1, 200))
N_THREADS = st.integers(1, 7)


def matrices(shape: tuple[int, int, int], seed: int) -> tuple[Floats, Floats, Floats]:
    n_rows, n_in, n_out = shape
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal((n_rows, n_in), np.float32),
        rng.standard_normal((n_out, n_in), np.float32),
        rng.standard_normal(n_out).astype(np.float32),
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(shapes, N_THREADS, st.integers(0, 1000))
def test_product_with_bias_equals_numpy_on_any_shape(
    shape: tuple[int, int, int], n_threads: int, seed: int
) -> None:
    x, w, bias = matrices(shape, seed)
    expected = rounded(x) @ rounded(w).T + bias
    assert_close(kernels.gemm_bf16(x, w, bias=bias, n_threads=n_threads), expected, 1e-6)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(shapes, N_THREADS, st.integers(0, 1000))
def test_residual_epilogue_adds_the_scaled_product(
    shape: tuple[int, int, int], n_threads: int, seed: int
) -> None:
    x, w, bias = matrices(shape, seed)
    rng = np.random.default_rng(seed + 1)
    residual = rng.standard_normal((shape[0], shape[2]), np.float32)
    scale = rng.standard_normal(shape[2]).astype(np.float32)
    found = kernels.gemm_bf16(x, w, bias=bias, residual=residual, scale=scale, n_threads=n_threads)
    expected = residual + scale * (rounded(x) @ rounded(w).T + bias)
    assert_close(found, expected, 2e-6)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(shapes, N_THREADS, st.integers(0, 1000))
def test_gelu_epilogue_is_the_exact_gelu_rounded_once(
    shape: tuple[int, int, int], n_threads: int, seed: int
) -> None:
    x, w, bias = matrices(shape, seed)
    y = (rounded(x) @ rounded(w).T + bias) / 4
    found = kernels.gemm_bf16(x, w / 4, bias=bias / 4, gelu=True, n_threads=n_threads)
    expected = 0.5 * y * (1 + erf(y / np.sqrt(2)))
    # Half a unit in BF16's last place, and the kernel's own 1e-6.
    assert np.all(np.abs(found - expected) <= np.abs(expected) * 2.0**-8 + 2e-6)


def test_output_in_bf16_is_the_f32_output_rounded() -> None:
    x, w, bias = matrices((13, 70, 65), 3)
    full = kernels.gemm_bf16(x, w, bias=bias)
    half = kernels.gemm_bf16(x, w, bias=bias, bf16_output=True)
    assert np.array_equal(half.astype(np.float64), rounded(full))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 9), st.integers(2, 200), st.booleans(), N_THREADS, st.integers(0, 1000))
def test_norms_equal_numpy(
    n_rows: int, width: int, subtract_mean: bool, n_threads: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((n_rows, width)) * 3 + 1).astype(np.float32)
    weight = rng.standard_normal(width).astype(np.float32)
    bias = rng.standard_normal(width).astype(np.float32) if subtract_mean else None
    found = kernels.norm_bf16(x, weight, bias, 1e-6, subtract_mean, n_threads)
    centred = x - x.mean(1, keepdims=True) if subtract_mean else x.astype(np.float64)
    expected = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-6) * weight
    expected = expected + (bias if bias is not None else 0)
    assert np.all(np.abs(found - expected) <= np.abs(expected) * 2.0**-8 + 1e-5)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.integers(1, 3),
    st.integers(1, 150),
    st.integers(1, 3),
    st.sampled_from([64, 128]),
    N_THREADS,
    st.integers(0, 1000),
)
def test_attention_equals_softmax_over_all_tokens(
    n_tiles: int, n_tokens: int, n_heads: int, d_head: int, n_threads: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    qkv = rng.standard_normal((n_tiles, n_tokens, 3, n_heads, d_head), np.float32)
    found = kernels.attention_bf16(qkv, n_threads)
    q, k, v = np.moveaxis(rounded(qkv), 2, 0)
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(d_head)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    expected = np.einsum("bhqk,bkhd->bqhd", weights, v)
    # Weights and output are rounded to BF16 on their way.
    assert_close(found, expected, 6e-3)


def test_attention_survives_scores_far_apart() -> None:
    qkv = np.zeros((1, 3, 3, 1, 64), np.float32)
    qkv[0, :, 0, 0, 0] = 60.0
    qkv[0, 1, 1, 0, 0] = 60.0  # only the second key matches
    qkv[0, :, 2, 0, :] = np.array([1.0, 2.0, 4.0])[:, None]
    assert np.all(kernels.attention_bf16(qkv, 2) == 2.0)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.integers(1, 40), st.integers(1, 40).map(lambda n: 2 * n), st.integers(1, 100),
    st.integers(0, 1000),
)  # fmt: skip
def test_swiglu_epilogue_multiplies_the_ups_by_their_gates(
    n_rows: int, n_in: int, width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_rows, n_in), np.float32)
    gate, up = rng.standard_normal((2, width, n_in), np.float32) / np.sqrt(n_in)
    found = kernels.swiglu_bf16(x, gate.astype(np.float32), up.astype(np.float32))
    g, u = rounded(x) @ rounded(gate).T, rounded(x) @ rounded(up).T
    expected = g / (1 + np.exp(-g)) * u
    assert np.all(np.abs(found - expected) <= np.abs(expected) * 2.0**-8 + 5e-6)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.integers(0, 90), st.integers(1, 80), st.sampled_from([(1, 1), (4, 2), (6, 1)]),
    st.sampled_from([64, 128]), N_THREADS, st.integers(0, 1000),
)  # fmt: skip
def test_causal_attention_sees_the_past_and_itself_only(
    n_past: int, n_new: int, heads: tuple[int, int], d_head: int, n_threads: int, seed: int
) -> None:
    n_heads, n_kv_heads = heads
    rng = np.random.default_rng(seed)
    q = rng.standard_normal((n_new, n_heads, d_head), np.float32)
    k, v = rng.standard_normal((2, n_past + n_new, n_kv_heads, d_head), np.float32)
    k, v = k.astype(np.float16), v.astype(np.float16)
    found = kernels.causal_attention_bf16(q, k, v, n_threads)
    k, v = (np.repeat(x.astype(np.float64), n_heads // n_kv_heads, 1) for x in (k, v))
    scores = np.einsum("qhd,khd->hqk", rounded(q), k) / np.sqrt(d_head)
    hidden = np.arange(n_past + n_new) > np.arange(n_new)[:, None] + n_past
    weights = np.exp(np.where(hidden, -np.inf, scores))
    weights /= weights.sum(-1, keepdims=True)
    expected = np.einsum("hqk,khd->qhd", weights, v)
    # Keys, values, weights and the output are rounded to BF16 on their way.
    assert_close(found, expected, 2.5e-2)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.integers(0, 90), st.integers(1, 80), st.integers(1, 130), st.floats(-6, 40),
    N_THREADS, st.integers(0, 1000),
)  # fmt: skip
def test_windows_and_sinks_take_their_share_of_the_attention(
    n_past: int, n_new: int, window: int, sink: float, n_threads: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    q = rng.standard_normal((n_new, 2, 64), np.float32)
    k, v = rng.standard_normal((2, n_past + n_new, 1, 64), np.float32).astype(np.float16)
    sinks = np.array([sink, sink / 2], np.float32)
    age = np.arange(n_new)[:, None] + n_past - np.arange(n_past + n_new)
    scores = np.einsum("qhd,kd->hqk", q.astype(np.float64), k[:, 0].astype(np.float64)) / 8
    scores = np.where((age < 0) | (age >= window), -np.inf, scores)
    peaks = np.maximum(scores.max(-1), sinks[:, None])
    weights = np.exp(scores - peaks[..., None])
    weights /= (weights.sum(-1) + np.exp(sinks[:, None] - peaks))[..., None]
    expected = np.einsum("hqk,kd->qhd", weights, v[:, 0].astype(np.float64))
    found = kernels.causal_attention_bf16(q, k, v, n_threads, window, sinks)
    assert_close(found, expected, 2.5e-2)
    cached = kernels.cached_attention([q], [k], [v], n_threads, window, sinks)[0]
    assert_close(cached, expected, 2e-6)


@pytest.mark.parametrize("turns", [0.0, 0.3])
def test_what_all_keys_share_takes_none_of_their_digits(turns: float) -> None:
    """Their common part turns slowly from key to key, by `turns` from first to last."""
    n_past, n_new, d_head = 100, 90, 64
    rng = np.random.default_rng(5)
    q = rng.standard_normal((n_new, 2, d_head), np.float32)
    k, v = rng.standard_normal((2, n_past + n_new, 1, d_head), np.float32)
    angles = np.linspace(0, 2 * np.pi * turns, n_past + n_new)
    k[:, 0, :2] += 300 * np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    k, v = k.astype(np.float16), v.astype(np.float16)
    found = kernels.causal_attention_bf16(q, k, v, 2)
    scores = np.einsum("qhd,kd->hqk", q.astype(np.float64), k[:, 0]) / np.sqrt(d_head)
    hidden = np.arange(n_past + n_new) > np.arange(n_new)[:, None] + n_past
    scores = np.where(hidden, -np.inf, scores)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    assert_close(found, np.einsum("hqk,kd->qhd", weights, v[:, 0].astype(np.float64)), 2.5e-2)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 5)), min_size=1, max_size=4),
    st.sampled_from([(1, 1), (4, 2), (7, 1), (14, 2)]), st.sampled_from([16, 64, 128, 256]),
    N_THREADS, st.integers(0, 1000),
)  # fmt: skip
def test_tokens_of_several_sequences_see_their_own_past_only(
    lengths: list[tuple[int, int]], heads: tuple[int, int], d_head: int, n_threads: int, seed: int
) -> None:
    n_heads, n_kv_heads = heads
    rng = np.random.default_rng(seed)
    q = [rng.standard_normal((n_new, n_heads, d_head), np.float32) for _, n_new in lengths]
    k, v = (
        [rng.standard_normal((sum(n), n_kv_heads, d_head)).astype(np.float16) for n in lengths]
        for _ in range(2)
    )
    together = kernels.cached_attention(q, k, v, n_threads)
    for i, (n_past, n_new) in enumerate(lengths):
        keys, values = (np.repeat(x.astype(float), n_heads // n_kv_heads, 1) for x in (k[i], v[i]))
        scores = np.einsum("qhd,khd->hqk", q[i], keys) / np.sqrt(d_head)
        hidden = np.arange(n_past + n_new) > np.arange(n_new)[:, None] + n_past
        scores = np.where(hidden, -np.inf, scores)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        assert_close(together[i], np.einsum("hqk,khd->qhd", weights, values), 2e-6)
        alone = kernels.cached_attention([q[i]], [k[i]], [v[i]], 1)[0]
        assert np.array_equal(together[i], alone)
        last = kernels.cached_attention([q[i][-1:]], [k[i]], [v[i]], 3)[0]
        assert np.array_equal(together[i][-1:], last)
