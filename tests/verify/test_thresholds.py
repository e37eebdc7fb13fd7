"""Limits as data, and the comparison of one stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from crispvl.verify.compare import compare_stage
from crispvl.verify.thresholds import THRESHOLDS, Threshold, matrix_types, threshold_for


def test_finer_types_have_closer_limits() -> None:
    limits = [t.decoder.cosine for t in THRESHOLDS.values()]
    assert limits == sorted(limits, reverse=True)
    assert THRESHOLDS["f32"].decoder.relative == 2e-3


def test_the_published_limits_hold() -> None:
    assert THRESHOLDS["f16"].vision.cosine == THRESHOLDS["bf16"].vision.cosine == 0.9999
    assert THRESHOLDS["q8_0"].vision.cosine == 0.999


def test_the_coarsest_matrix_decides_and_vectors_do_not() -> None:
    tensors = [
        {"name": "blk.0.attn_q.weight", "shape": (64, 64), "type": "q4_K"},
        {"name": "output.weight", "shape": (64, 64), "type": "q6_K"},
        {"name": "blk.0.attn_norm.weight", "shape": (64,), "type": "f32"},
        {"name": "v.blk.0.attn_q.weight", "shape": (64, 64), "type": "q8_0"},
        {"name": "v.position_embd.weight", "shape": (17, 64), "type": "f32"},
        {"name": "v.patch_embd.weight", "shape": (64, 3, 14, 14), "type": "f32"},
    ]
    vision, decoder = matrix_types(tensors)
    assert vision == {"q8_0"}
    assert threshold_for(decoder)[0] == "q4_k"


def test_types_without_a_limit_are_reported_only() -> None:
    name, limits = threshold_for({"iq1_s", "q8_0"})
    assert name == "iq1_s"
    assert limits.decoder.cosine == -1.0
    assert not limits.same_ids


def test_the_table_tells_cosine_difference_and_norms() -> None:
    want = np.array([[[3.0, 4.0], [1.0, 0.0]]])
    found = np.array([[[3.0, 4.0], [0.0, 1.0]]])
    row = compare_stage("x", found, want, Threshold(0.5))
    assert row.cosine_min == pytest.approx(0.0)
    assert row.cosine_mean == pytest.approx(0.5)
    assert row.max_difference == 1.0
    assert row.norm_ratio == pytest.approx(1.0)
    assert not row.passed
    assert compare_stage("x", want, want, Threshold(1.0, 0.0)).passed


def test_by_the_median_half_of_the_rows_may_be_others() -> None:
    want = np.eye(4)[[0, 1, 2]]
    found = np.eye(4)[[0, 1, 3]]
    assert not compare_stage("x", found, want, Threshold(0.9)).passed
    assert compare_stage("x", found, want, Threshold(0.9), by_median=True).passed
    assert not compare_stage("x", found[[0, 2, 2]], want[[0, 2, 2]], Threshold(0.9),
                             by_median=True).passed  # fmt: skip


def test_what_is_not_judged_has_to_be_finite_all_the_same() -> None:
    want = np.eye(4)
    assert compare_stage("x", want[::-1], want, Threshold(0.9), judged=False).passed
    assert not compare_stage("x", want * np.nan, want, Threshold(0.9), judged=False).passed


@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_lost_factor_passes_in_no_type(name: str, factor: float) -> None:
    want = np.random.default_rng(1).standard_normal((1, 4, 64))
    limits = THRESHOLDS[name]
    for limit in (limits.vision, limits.decoder, limits.logits):
        assert compare_stage("x", want, want, limit).passed
        assert not compare_stage("x", factor * want, want, limit).passed


def test_equal_rows_of_zeros_agree() -> None:
    zeros = np.zeros((1, 2, 4))
    assert compare_stage("x", zeros, zeros, Threshold(0.9, norm=0.01)).passed


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_never_passes(bad: float) -> None:
    want = np.ones((1, 2, 4))
    found = want.copy()
    found[0, 1, 2] = bad
    assert not compare_stage("x", found, want, Threshold(-1.0)).passed


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        compare_stage("x", np.ones((1, 2)), np.ones((1, 3)), Threshold(0.9))


def test_the_documentation_tells_the_same_limits() -> None:
    text = (Path(__file__).parents[2] / "docs" / "numerics.md").read_text("utf-8")
    for name, limits in THRESHOLDS.items():
        cosines = f"{limits.vision.cosine:g} | {limits.decoder.cosine:g}"
        assert f"| {name} | {cosines} | {limits.decoder.norm:g} |" in text, name
