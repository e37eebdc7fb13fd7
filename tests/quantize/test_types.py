"""Rows in every type: against the gguf package's dequantiser, and what is refused."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from crispvl import _core
from crispvl.errors import Cancelled, ModelFileError
from crispvl.quantize.tensor_types import FALLBACKS, fitting_type, tensor_type, tensor_types
from crispvl.verify.thresholds import ROUND_TRIP_ERROR
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

N_COLUMNS = 512


def known_to_gguf(name: str) -> bool:
    kind = getattr(gguf.GGMLQuantizationType, name.upper(), None)
    if kind is None:
        return False
    try:
        gguf.quants.dequantize(np.zeros((1, gguf.GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def values(n_rows: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n_rows, N_COLUMNS)).astype(np.float32)


def pack(
    rows: NDArray[np.float32],
    kind: str,
    importance: NDArray[np.float32] | None = None,
    threads: int = 2,
    cancel: _core.CancelToken | None = None,
) -> NDArray[np.uint8]:
    if importance is None and tensor_type(kind).needs_importance:
        importance = np.ones(rows.shape[1], np.float32)
    data = np.ascontiguousarray(rows).view(np.uint8).reshape(-1)
    return _core.convert_rows(data, "f32", kind, rows.shape[1], importance, "rows", threads, cancel)


def unpack(data: NDArray[np.uint8], kind: str) -> NDArray[np.float32]:
    return _core.convert_rows(data, kind, "f32", N_COLUMNS).view(np.float32).reshape(-1, N_COLUMNS)


@pytest.mark.parametrize("kind", [n for n in tensor_types() if known_to_gguf(n)])
def test_values_read_back_as_the_gguf_package_reads_them(kind: str) -> None:
    packed = pack(values(24), kind)
    want = gguf.quants.dequantize(packed.reshape(24, -1), gguf.GGMLQuantizationType[kind.upper()])
    np.testing.assert_allclose(unpack(packed, kind), want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["q8_0", "q4_0", "q5_1", "f16", "bf16"])
def test_bytes_are_those_of_the_gguf_package(kind: str) -> None:
    rows = values(8)
    want = gguf.quants.quantize(rows, gguf.GGMLQuantizationType[kind.upper()])
    found = unpack(pack(rows, kind), kind)
    reference = gguf.quants.dequantize(want, gguf.GGMLQuantizationType[kind.upper()])
    scale = np.abs(reference).max()
    # Ties round either way; a quantum of the coarsest is 1/8 of a block's largest value.
    assert np.mean(np.abs(found - reference) > 1e-6 * scale) < 1e-3


@pytest.mark.parametrize(("kind", "error"), ROUND_TRIP_ERROR.items())
def test_the_documented_loss_of_each_type_is_what_it_loses(kind: str, error: float) -> None:
    rows = values(256)
    loss = ((unpack(pack(rows, kind), kind) - rows) ** 2).sum() / (rows**2).sum()
    assert loss == pytest.approx(error, rel=0.08)


@pytest.mark.parametrize("kind", ["q4_k", "iq2_xxs", "f16"])
def test_the_number_of_threads_changes_nothing(kind: str) -> None:
    rows = values(700)
    np.testing.assert_array_equal(pack(rows, kind, threads=1), pack(rows, kind, threads=5))


def test_importance_moves_the_error_to_the_other_columns() -> None:
    rows = values(64)
    importance = np.ones(N_COLUMNS, np.float32)
    importance[::8] = 1000
    plain = unpack(pack(rows, "iq3_s"), "iq3_s") - rows
    weighted = unpack(pack(rows, "iq3_s", importance), "iq3_s") - rows
    assert (weighted[:, ::8] ** 2).sum() < 0.7 * (plain[:, ::8] ** 2).sum()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["q4_k", "iq1_s", "iq4_nl", "q8_0", "f16", "mxfp4"])
def test_numbers_that_are_not_finite_are_refused(kind: str, bad: float) -> None:
    rows = values(4)
    rows[2, 17] = bad
    with pytest.raises(ModelFileError, match="row 2"):
        pack(rows, kind)


def test_values_beyond_float16_are_refused() -> None:
    rows = values(2)
    rows[0, 0] = 1e6
    with pytest.raises(ModelFileError, match="beyond"):
        pack(rows, "f16")
    assert np.isfinite(unpack(pack(rows, "bf16"), "bf16")).all()


@pytest.mark.parametrize("kind", tensor_types())
def test_zeros_stay_zeros(kind: str) -> None:
    rows = np.zeros((2, N_COLUMNS), np.float32)
    if kind == "q1_0":
        pytest.skip("one bit tells plus from minus and knows no zero but through its scale")
    np.testing.assert_array_equal(unpack(pack(rows, kind), kind), rows)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(sorted(tensor_types())),
    seed=st.integers(0, 2**31),
    scale=st.floats(1e-6, 1e3),
    sparse=st.booleans(),
)
def test_any_finite_rows_come_back_finite(kind: str, seed: int, scale: float, sparse: bool) -> None:
    rows = values(3, seed) * np.float32(scale)
    if sparse:
        rows[:, ::3] = 0
    assert np.isfinite(unpack(pack(rows, kind), kind)).all()


def test_types_that_need_an_importance_matrix_say_so() -> None:
    data = values(1).view(np.uint8).reshape(-1)
    with pytest.raises(ValueError, match="importance matrix"):
        _core.convert_rows(data, "f32", "iq2_xxs", N_COLUMNS)


def test_importances_that_are_no_weights_are_refused() -> None:
    importance = np.ones(N_COLUMNS, np.float32)
    importance[5] = -1
    with pytest.raises(ValueError, match="column 5"):
        pack(values(1), "q4_k", importance)


def test_rows_that_are_no_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="blocks"):
        _core.convert_rows(np.zeros(100 * 4, np.uint8), "f32", "q8_0", 100)
    with pytest.raises(ValueError, match="type"):
        _core.convert_rows(np.zeros(32 * 4, np.uint8), "f32", "q9_9", 32)


def test_a_cancelled_conversion_stops() -> None:
    cancel = _core.CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        pack(values(4), "q8_0", cancel=cancel)


@pytest.mark.parametrize(
    ("wanted", "n_columns", "written"),
    [
        ("q4_k", 512, "q4_k"),
        ("q4_k", 896, "q5_0"),
        ("q6_k", 96, "q8_0"),
        ("iq3_s", 160, "iq4_nl"),
        ("q8_0", 14, "f16"),
        ("iq2_xs", 14, "f16"),
        ("f32", 3, "f32"),
    ],
)
def test_a_type_whose_blocks_do_not_fit_gives_way(
    wanted: str, n_columns: int, written: str
) -> None:
    assert fitting_type(wanted, n_columns).name == written


def test_stand_ins_have_smaller_blocks_and_lose_no_more() -> None:
    for name, stand_in in FALLBACKS.items():
        assert tensor_type(stand_in).block < tensor_type(name).block
        assert tensor_type(stand_in).bits >= tensor_type(name).bits or name in ("nvfp4",)
