"""Caches of every type: how near to float32, and what they take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from crispvl import Model, _core
from crispvl.convert import convert_checkpoint
from crispvl.options import KvType
from crispvl.plan import plan_model
from goldens import GOLDENS, Golden, golden_folder, min_cosine
from tiny import ROWS, Row, make_checkpoint
from tiny.rows import row

# Smallest cosine of logits with those of a float32 cache; docs/numerics.md says why.
LOGITS_COSINE: dict[KvType, float] = {"f16": 0.99999, "q8_0": 0.9995}
# Without a mixture's choice of experts, which jumps where two are nearly even.
WIDE = [r for r in ROWS if r.d_head % 32 == 0 and r.family not in ("qwen3_moe", "gpt_oss")]
PROMPT = np.random.default_rng(0).integers(1, 250, 40).tolist()


def converted(tiny_row: Row, folder: Path) -> Path:
    checkpoint = make_checkpoint(tiny_row, folder / "checkpoint")
    convert_checkpoint(checkpoint, folder / "model.gguf", "f32")
    return folder / "model.gguf"


@pytest.mark.parametrize("tiny_row", WIDE, ids=lambda r: r.name)
def test_logits_are_near_those_of_a_float32_cache(tiny_row: Row, tmp_path: Path) -> None:
    path = converted(tiny_row, tmp_path)
    wanted = Model.load(path, device="cpu", kv_cache="f32").trace(None, PROMPT)["logits"]
    for kind, cosine in LOGITS_COSINE.items():
        found = Model.load(path, device="cpu", kv_cache=kind).trace(None, PROMPT)["logits"]
        assert min_cosine(found[None], wanted[None]) >= cosine, kind


@pytest.mark.parametrize("name", GOLDENS)
def test_goldens_keep_their_logits_over_a_small_cache(
    name: str, shared_dir: Path, tmp_path: Path
) -> None:
    golden = Golden(golden_folder(shared_dir, name))
    convert_checkpoint(golden.folder, tmp_path / "model.gguf", "f32")
    model = Model.load(tmp_path / "model.gguf", device="cpu")
    if model.config["decoder"]["d_head"] % 32:
        pytest.skip("its heads are no multiple of 32")
    wanted = model.trace(golden.tiles, golden.prompt_ids("image"))["logits"]
    small = Model.load(tmp_path / "model.gguf", device="cpu", kv_cache="q8_0")
    found = small.trace(golden.tiles, golden.prompt_ids("image"))["logits"]
    assert min_cosine(found[None], wanted[None]) >= LOGITS_COSINE["q8_0"]


def test_steps_of_several_rows_and_sequences_use_a_small_cache_alike(tmp_path: Path) -> None:
    model = Model.load(converted(WIDE[0], tmp_path), device="cpu", kv_cache="q8_0").core
    sessions = [model.new_session(64) for _ in range(3)]
    for session in sessions:
        session.prefill(PROMPT, None, None)
    _core.Session.decode_batch(sessions, [[7], [7, 8], [7, 8, 9]])
    sessions[2].rewind(len(PROMPT) + 1)
    sessions[0].decode(8, None)
    sessions[2].decode(8, None)
    wanted = sessions[0].logits()
    for session in sessions[1:]:
        np.testing.assert_allclose(session.logits(), wanted, atol=2e-5 * np.abs(wanted).max())


def test_the_plan_counts_the_type_and_the_streams(tmp_path: Path) -> None:
    path = converted(WIDE[0], tmp_path)

    def kv_bytes(kind: KvType, streams: int = 1) -> int:
        plan = plan_model(path, n_ctx=256, device="cpu", kv_cache=kind, streams=streams)
        return plan.devices[-1].kv_cache

    assert kv_bytes("f16") * 2 == kv_bytes("f32")
    assert kv_bytes("q8_0") == pytest.approx(kv_bytes("f16") * 34 / 64, rel=0.05)
    assert kv_bytes("f16", streams=3) == 3 * kv_bytes("f16")
    with pytest.raises(ValueError, match="streams"):
        kv_bytes("f16", streams=0)


def test_a_cache_that_cannot_be_is_refused_in_words(tmp_path: Path) -> None:
    path = converted(row("base"), tmp_path)  # heads of 16
    with pytest.raises(ValueError, match="use auto or f16"):
        Model.load(path, device="cpu", kv_cache="q8_0")
    with pytest.raises(ValueError, match="kv_cache"):
        Model.load(path, device="cpu", kv_cache="q2_k")  # type: ignore[arg-type]
    assert _core.Model.load(str(path), None, "cpu", 1, False, kv_cache="f16").kv_bytes > 0
    with pytest.raises(ValueError, match="'q3'"):
        _core.Model.load(str(path), None, "cpu", 1, False, kv_cache="q3")
