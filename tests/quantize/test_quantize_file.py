"""The file as a whole: provenance, overrides, pairs, atomicity, damaged input."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from crispvl import Model, _core
from crispvl.convert import convert_checkpoint
from crispvl.errors import Cancelled, CrispVLError, ModelFileError
from crispvl.quantize import quantize_file


def types_of(path: Path) -> dict[str, str]:
    return {t["name"]: t["type"].lower() for t in _core.GgufFile(str(path)).tensors}


def test_the_result_tells_its_recipe_and_its_parent(wide: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    quantize_file(wide, out, "q5_k_m", overrides=["output.weight=q8_0"])
    keys = _core.GgufFile(str(out)).metadata
    assert keys["crispvl.quantize.recipe"] == "q5_k_m"
    assert keys["crispvl.quantize.overrides"] == "output.weight=q8_0"
    assert keys["crispvl.quantize.parent_sha256"] == hashlib.sha256(wide.read_bytes()).hexdigest()
    assert keys["general.file_type"] == 17
    assert keys["general.quantization_version"] == 2


def test_all_other_keys_stay(wide: Path, tmp_path: Path) -> None:
    quantize_file(wide, tmp_path / "out.gguf", "q8_0")
    before, after = (_core.GgufFile(str(p)).metadata for p in (wide, tmp_path / "out.gguf"))
    changed = {k for k in before if before[k] != after.get(k)}
    assert changed == {"general.file_type"}
    assert {k for k in after if k not in before} == {
        f"crispvl.quantize.{name}" for name in ("recipe", "overrides", "parent_sha256", "version")
    }


def test_the_last_override_that_matches_holds(wide: Path, tmp_path: Path) -> None:
    overrides = ["blk.*=q8_0", "blk.2.*=f16", "v.blk.0.*=bf16"]
    quantize_file(wide, tmp_path / "out.gguf", "q4_k_m", overrides=overrides)
    types = types_of(tmp_path / "out.gguf")
    assert types["blk.1.ffn_up.weight"] == "q8_0"
    assert types["blk.2.ffn_up.weight"] == "f16"
    assert types["v.blk.0.ffn_up.weight"] == "bf16"
    assert types["blk.2.attn_norm.weight"] == "f32"


def test_the_encoder_is_coarsened_by_force_only(wide: Path, tmp_path: Path) -> None:
    out, overrides = tmp_path / "out.gguf", ["v.blk.*=q4_0"]
    with pytest.raises(ValueError, match="--force"):
        quantize_file(wide, out, "q4_k_m", overrides=overrides)
    assert not out.exists()
    quantize_file(wide, out, "q4_k_m", overrides=overrides, force=True)
    assert types_of(out)["v.blk.1.attn_q.weight"] == "q4_0"


def test_an_override_that_matches_nothing_is_refused(wide: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found none among"):
        quantize_file(wide, tmp_path / "out.gguf", "q8_0", overrides=["layers.*=q8_0"])


def test_both_files_of_a_pair_can_be_quantised(wide_checkpoint: Path, tmp_path: Path) -> None:
    convert_checkpoint(wide_checkpoint, tmp_path / "m.gguf", "f32", "pair")
    quantize_file(tmp_path / "m.gguf", tmp_path / "t.gguf", "q4_k_m")
    quantize_file(tmp_path / "mmproj-m.gguf", tmp_path / "p.gguf", "q4_k_m")
    assert types_of(tmp_path / "t.gguf")["blk.0.attn_q.weight"] == "q4_k"
    assert types_of(tmp_path / "p.gguf")["v.blk.0.attn_q.weight"] == "q8_0"
    model = Model.load(tmp_path / "t.gguf", tmp_path / "p.gguf", device="cpu", threads=1)
    assert np.isfinite(model.trace(None, [1, 2, 3])["logits"]).all()


def test_a_quantised_source_is_taken_with_a_warning(wide: Path, tmp_path: Path) -> None:
    quantize_file(wide, tmp_path / "a.gguf", "q8_0")
    report = quantize_file(tmp_path / "a.gguf", tmp_path / "b.gguf", "q4_0")
    assert "q8_0" in report.warnings[0]
    keys = _core.GgufFile(str(tmp_path / "b.gguf")).metadata
    parent = hashlib.sha256((tmp_path / "a.gguf").read_bytes()).hexdigest()
    assert keys["crispvl.quantize.parent_sha256"] == parent


def test_progress_ends_at_the_total(wide: Path, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    quantize_file(wide, tmp_path / "out.gguf", "q8_0", progress=lambda *call: calls.append(call))
    assert calls[-1][1] == calls[-1][2]
    assert [c[1] for c in calls] == sorted(c[1] for c in calls)


def test_a_cancelled_run_leaves_nothing_behind(wide: Path, tmp_path: Path) -> None:
    cancel = _core.CancelToken()
    out = tmp_path / "out.gguf"
    with pytest.raises(Cancelled):
        quantize_file(
            wide, out, "q4_k_m", cancel=cancel, progress=lambda name, done, total: cancel.cancel()
        )
    assert list(tmp_path.iterdir()) == []


def test_an_error_on_the_way_keeps_the_old_file(wide: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    out.write_bytes(b"old")

    def fail(name: str, done: int, total: int) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        quantize_file(wide, out, "q8_0", progress=fail)
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


def test_a_broken_number_leaves_nothing_behind(wide: Path, tmp_path: Path) -> None:
    broken = bytearray(wide.read_bytes())
    file = _core.GgufFile(str(wide))
    # The last tensor's last value.
    assert file.data(file.tensors[-1]["name"]).size
    end = len(broken) - len(broken) % 4
    broken[end - 4 : end] = np.float32(np.nan).tobytes()
    (tmp_path / "in.gguf").write_bytes(broken)
    quantised = tmp_path / "out.gguf"
    with pytest.raises(ModelFileError, match="finite"):
        quantize_file(tmp_path / "in.gguf", quantised, "f16", overrides=["*=q8_0"])
    assert {p.name for p in tmp_path.iterdir()} == {"in.gguf"}


def test_output_and_input_may_not_be_one_file(wide: Path) -> None:
    with pytest.raises(ValueError, match="expected a file that is not read as well"):
        quantize_file(wide, wide, "q8_0")


def test_a_link_stays_a_link_to_the_new_file(wide: Path, tmp_path: Path) -> None:
    target, link = tmp_path / "target.gguf", tmp_path / "link.gguf"
    target.write_bytes(b"old")
    link.symlink_to(target)
    report = quantize_file(wide, link, "q8_0")
    assert link.is_symlink()
    assert target.stat().st_size == report.n_bytes


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs in folders")
def test_a_fifo_is_not_replaced(wide: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(ValueError, match="a fifo"):
        quantize_file(wide, fifo, "q8_0")
    assert fifo.is_fifo()


def test_a_missing_folder_is_named(wide: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        quantize_file(wide, tmp_path / "nowhere" / "out.gguf", "q8_0")
    with pytest.raises(FileNotFoundError):
        quantize_file(tmp_path / "absent.gguf", tmp_path / "out.gguf", "q8_0")


@pytest.mark.skipif(sys.platform != "linux", reason="no folder here refuses everyone")
def test_a_folder_that_takes_no_file_is_not_to_be_created(wide: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"folder to write in; found .*; choose another"):
        quantize_file(wide, "/proc/out.gguf", "q8_0")


def test_unknown_recipes_and_lone_sizes_are_refused(wide: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="q4_k_m"):
        quantize_file(wide, tmp_path / "o.gguf", "q4_k_xxl")
    with pytest.raises(ValueError, match="--size"):
        quantize_file(wide, tmp_path / "o.gguf", "auto")
    with pytest.raises(ValueError, match="auto only"):
        quantize_file(wide, tmp_path / "o.gguf", "q8_0", max_bytes=10)
    with pytest.raises(ValueError, match="importance matrix"):
        quantize_file(wide, tmp_path / "o.gguf", "iq2_xxs")


@pytest.mark.parametrize("keep", [0, 3, 100, 5000, 20_000, -1])
def test_truncated_files_are_refused(keep: int, wide: Path, tmp_path: Path) -> None:
    data = wide.read_bytes()
    (tmp_path / "in.gguf").write_bytes(data[:keep] if keep >= 0 else data[:-40])
    with pytest.raises((CrispVLError, ValueError)):
        quantize_file(tmp_path / "in.gguf", tmp_path / "out.gguf", "q8_0")
    assert not (tmp_path / "out.gguf").exists()


def test_a_file_of_another_kind_is_refused(imatrix: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="crispvl convert"):
        quantize_file(imatrix, tmp_path / "out.gguf", "q8_0")
