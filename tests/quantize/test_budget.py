"""The recipe ``auto``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from crispvl import Model, _core
from crispvl.quantize import quantize_file
from crispvl.quantize.importance import write_importance
from crispvl.quantize.roles import Role, source_tensors


def logits(path: Path) -> np.ndarray:
    return Model.load(path, device="cpu", threads=1).trace(None, list(range(30)))["logits"]


@pytest.mark.parametrize("share", [0.2, 0.3, 0.45])
def test_the_file_meets_the_size_and_uses_it(share: float, wide: Path, tmp_path: Path) -> None:
    max_bytes = int(share * wide.stat().st_size)
    report = quantize_file(wide, tmp_path / "out.gguf", "auto", max_bytes=max_bytes)
    assert 0.9 * max_bytes < report.n_bytes <= max_bytes
    assert np.isfinite(logits(tmp_path / "out.gguf")).all()


def test_more_room_loses_less(wide: Path, tmp_path: Path) -> None:
    want = logits(wide)
    losses = []
    for share in (0.2, 0.25, 0.33):
        max_bytes = int(share * wide.stat().st_size)
        quantize_file(wide, tmp_path / "out.gguf", "auto", max_bytes=max_bytes)
        losses.append(float(((logits(tmp_path / "out.gguf") - want) ** 2).sum()))
    assert losses == sorted(losses, reverse=True)


def test_the_encoder_stays_at_q8_0_or_better(wide: Path, tmp_path: Path) -> None:
    quantize_file(wide, tmp_path / "o.gguf", "auto", max_bytes=int(0.2 * wide.stat().st_size))
    for tensor in _core.GgufFile(str(tmp_path / "o.gguf")).tensors:
        if tensor["name"].startswith(("v.", "mm.")):
            assert tensor["type"].lower() in ("q8_0", "f16", "f32"), tensor


def test_a_size_that_is_too_small_names_the_smallest(wide: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least"):
        quantize_file(wide, tmp_path / "o.gguf", "auto", max_bytes=100_000)
    assert list(tmp_path.iterdir()) == []


def test_the_smallest_size_that_is_named_is_enough(wide: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least") as caught:
        quantize_file(wide, tmp_path / "o.gguf", "auto", max_bytes=1000)
    found = re.search(r"at least ([\d.]+) MB", str(caught.value))
    assert found is not None
    max_bytes = round(float(found[1]) * 1e6)
    report = quantize_file(wide, tmp_path / "o.gguf", "auto", max_bytes=max_bytes)
    assert report.n_bytes <= max_bytes


def test_a_long_list_of_pages_in_the_importance_matrix_counts(wide: Path, tmp_path: Path) -> None:
    tensors = source_tensors(_core.GgufFile(str(wide)).tensors)
    sums = {t.name: (np.ones(t.n_columns, np.float32), 10)
            for t in tensors if t.role in (Role.TEXT, Role.VISION)}  # fmt: skip
    pages = [f"/data/scans/some/folder/page-{i:04d}.png" for i in range(1000)]
    write_importance(tmp_path / "imatrix.gguf", sums, pages)
    max_bytes = int(0.3 * wide.stat().st_size)
    report = quantize_file(
        wide, tmp_path / "o.gguf", "auto", max_bytes=max_bytes, imatrix=tmp_path / "imatrix.gguf"
    )
    assert report.n_bytes <= max_bytes


def test_overrides_hold_within_a_size(wide: Path, tmp_path: Path) -> None:
    quantize_file(
        wide,
        tmp_path / "o.gguf",
        "auto",
        max_bytes=int(0.3 * wide.stat().st_size),
        overrides=["blk.5.ffn_up.weight=q2_k"],
    )
    types = {t["name"]: t["type"].lower() for t in _core.GgufFile(str(tmp_path / "o.gguf")).tensors}
    assert types["blk.5.ffn_up.weight"] == "q2_k"
