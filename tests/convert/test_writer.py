"""Files appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl.convert import convert_checkpoint, dtypes
from gguf import GGUFReader
from tiny import make_checkpoint
from tiny.rows import row


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return make_checkpoint(row("base"), tmp_path / "checkpoint")


class FailAfter:
    """Stands in for `dtypes.encode` and fails at the n-th tensor, in the middle of its bytes."""

    def __init__(self, n: int, error: BaseException) -> None:
        self._left, self._error, self._encode = n, error, dtypes.encode

    def __call__(self, *args: Any) -> Iterator[Any]:
        self._left -= 1
        for chunk in self._encode(*args):
            if self._left < 0:
                yield chunk[:8]
                raise self._error
            yield chunk


@pytest.mark.parametrize("layout", ["single", "pair"])
@pytest.mark.parametrize("n_tensors", [0, 40, 72])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failed_write_leaves_the_old_files_and_no_others(
    layout: str,
    n_tensors: int,
    error: BaseException,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.gguf").write_bytes(b"old")
    monkeypatch.setattr(dtypes, "encode", FailAfter(n_tensors, error))
    with pytest.raises(type(error)):
        convert_checkpoint(checkpoint, out / "model.gguf", layout=layout)
    assert os.listdir(out) == ["model.gguf"]
    assert (out / "model.gguf").read_bytes() == b"old"


def test_new_file_replaces_the_old_one(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"old")
    convert_checkpoint(checkpoint, tmp_path / "model.gguf")
    assert len(GGUFReader(tmp_path / "model.gguf").tensors) == 73
    assert sorted(os.listdir(tmp_path)) == ["checkpoint", "model.gguf"]


def test_same_checkpoint_gives_the_same_bytes(checkpoint: Path, tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        convert_checkpoint(checkpoint, tmp_path / name, "q8_0")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_tensors_lie_at_aligned_places_in_order(checkpoint: Path, tmp_path: Path) -> None:
    convert_checkpoint(checkpoint, tmp_path / "model.gguf", "q8_0")
    tensors = GGUFReader(tmp_path / "model.gguf").tensors
    offsets = [int(t.data_offset) for t in tensors]
    assert all(offset % 32 == 0 for offset in offsets)
    ends = [offset + int(t.n_bytes) for offset, t in zip(offsets, tensors, strict=True)]
    gaps = np.array(offsets[1:]) - np.array(ends[:-1])
    assert gaps.min() >= 0
    assert gaps.max() < 32
    assert (tmp_path / "model.gguf").stat().st_size - ends[-1] < 32


def test_progress_counts_every_byte_once(checkpoint: Path, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    report = convert_checkpoint(
        checkpoint, tmp_path / "model.gguf", progress=lambda *call: calls.append(call)
    )
    names = [name for name, _, _ in calls]
    assert len(set(names)) == report.n_tensors
    done = [n_done for _, n_done, _ in calls]
    assert done == sorted(done)
    assert done[-1] == calls[-1][2] == sum(
        int(t.n_bytes) for t in GGUFReader(tmp_path / "model.gguf").tensors
    )  # fmt: skip


def test_a_link_stays_a_link_to_the_new_file(checkpoint: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "model.gguf").write_bytes(b"old")
    (tmp_path / "link.gguf").symlink_to(elsewhere / "model.gguf")
    report = convert_checkpoint(checkpoint, tmp_path / "link.gguf")
    assert (tmp_path / "link.gguf").is_symlink()
    assert (elsewhere / "model.gguf").stat().st_size == report.n_bytes
    assert os.listdir(elsewhere) == ["model.gguf"]


def test_a_checkpoint_is_not_replaced(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    before = weights.read_bytes()
    with pytest.raises(ValueError, match="an input"):
        convert_checkpoint(checkpoint, weights)
    assert weights.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs in folders")
def test_a_fifo_is_not_replaced(checkpoint: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match="a fifo"):
        convert_checkpoint(checkpoint, tmp_path / "fifo")
    assert (tmp_path / "fifo").is_fifo()
