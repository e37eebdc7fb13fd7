"""Plans against what a run really takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from crispvl import Model, _core
from crispvl.cli import main
from crispvl.convert import convert_checkpoint, convert_header
from crispvl.errors import ContextOverflowError, DeviceError
from crispvl.options import LoadOptions
from crispvl.plan import place_model, plan_model
from tiny import ROWS, make_checkpoint
from tiny.released import released
from tiny.rows import row, variant

# Loads a model in a fresh process, reads `n_tiles` and answers ten tokens; prints its peak memory.
# The cache is filled: what is never written is not taken.
RUN = """
import sys
import numpy as np
from crispvl import Model
path, n_tiles, n_ctx = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
model = Model.load(path, device="cpu")
c = model.config
tiles = np.zeros((n_tiles, *[c["vision"]["tile_px"]] * 2, 3), np.uint8)
rows = model.encode(tiles).reshape(-1, c["decoder"]["width"])
session = model.core.new_session(n_ctx)
image = [c["image"]["context_token_id"]] * len(rows)
session.prefill([5] * (n_ctx - len(image) - 10) + image, rows, None)
for _ in range(10):
    session.decode(5, None)
status = open("/proc/self/status").read()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""

PLAN = """
import sys
from crispvl.plan import plan_model
print(plan_model(sys.argv[1], device="cpu").devices[-1].peak)
"""


def output(code: str, *arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    make_checkpoint(ROWS[0], folder / "checkpoint")
    convert_checkpoint(folder / "checkpoint", folder / "model.gguf", "f16")
    return folder / "model.gguf"


def nano_checkpoint() -> Path:
    folder = Path(__file__).parents[2] / "models" / "nano" / "checkpoint"
    if not (folder / "model.safetensors").is_file():
        pytest.skip("no checkpoint of the nano model here")
    return folder


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to measure with")
@pytest.mark.parametrize("dtype", ["f32", "q8_0"])
def test_the_plan_of_the_nano_model_is_within_a_tenth_of_what_it_takes(
    dtype: str, tmp_path: Path
) -> None:
    path = tmp_path / "nano.gguf"
    convert_checkpoint(nano_checkpoint(), path, dtype)
    plan = plan_model(path, device="cpu")
    taken = output(RUN, str(path), str(plan.n_tiles), str(plan.n_ctx)) * 1024
    assert output(PLAN, str(path)) == pytest.approx(taken, rel=0.1)


def test_cache_and_weights_are_exact(tiny_model: Path) -> None:
    plan = plan_model(tiny_model, device="cpu", n_ctx=512)
    model = _core.Model.load(str(tiny_model), None, "cpu", 1, False)
    c = model.config["decoder"]
    host = plan.devices[-1]
    assert host.weights == sum(t["n_bytes"] for t in model.tensors)
    assert host.kv_cache == 2 * 2 * c["n_layers"] * c["n_kv_heads"] * c["d_head"] * 512
    table = next(t for t in model.tensors if t["name"] == "token_embd.weight")
    assert host.table == table["n_bytes"]


def test_more_context_and_more_tiles_take_more(tiny_model: Path) -> None:
    small = plan_model(tiny_model, device="cpu", max_tiles=1, n_ctx=128)
    large = plan_model(tiny_model, device="cpu", max_tiles=4, n_ctx=512)
    assert large.n_tiles == 5  # with the thumbnail
    assert small.n_tiles == 1
    assert large.devices[-1].kv_cache > small.devices[-1].kv_cache
    assert large.devices[-1].compute > small.devices[-1].compute


def test_a_header_of_78b_is_enough_and_reads_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "78b.gguf"
    convert_header(released(80, 8192, 64, 29568), path)
    assert path.stat().st_size < 1 << 20
    plan = plan_model(path, device="cpu")
    host = plan.devices[-1]
    assert 155e9 < host.weights < 158e9
    assert host.kv_cache == 2 * 2 * 80 * 8 * 128 * plan.n_ctx
    assert plan.n_image_tokens == 13 * 256
    if not plan.fits:
        assert plan.advice
    assert main(["plan", str(path), "--device", "cpu"]) == (0 if plan.fits else 1)


def test_a_header_alone_cannot_be_run(tmp_path: Path) -> None:
    path = tmp_path / "78b.gguf"
    convert_header(released(2, 1024, 8, 1024), path)
    with pytest.raises(ValueError, match=r"\[(model|tokenizer|config)\]"):
        _core.Model.load(str(path), None, "cpu", 1, False)


def test_what_does_not_fit_is_told_with_a_remedy(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = plan_model(tiny_model, device="cpu", max_tiles=4).devices[-1].peak
    monkeypatch.setattr("crispvl.plan.plan.available_bytes", lambda: needed // 4)
    plan = plan_model(tiny_model, device="cpu", max_tiles=4)
    assert not plan.fits
    assert "smaller model" in plan.advice[0]
    least = plan_model(tiny_model, device="cpu", max_tiles=1).devices[-1]
    monkeypatch.setattr(
        "crispvl.plan.plan.available_bytes", lambda: least.peak + (needed - least.peak) // 2
    )
    monkeypatch.setattr("crispvl.plan.plan.process_bytes", lambda: 0)
    assert plan_model(tiny_model, device="cpu", max_tiles=4).fits


def test_a_model_whose_context_holds_no_whole_page_loads_with_limits_too(tmp_path: Path) -> None:
    make_checkpoint(row("rope-dynamic"), tmp_path / "checkpoint")  # a context of 48 tokens
    convert_checkpoint(tmp_path / "checkpoint", tmp_path / "model.gguf")
    model = Model.load(tmp_path / "model.gguf", threads=1, max_memory={"cpu": "2GiB"})
    assert model.config["decoder"]["context_length"] == 48


def test_a_page_is_planned_with_the_tiles_that_the_context_holds(tmp_path: Path) -> None:
    text = {"max_position_embeddings": 80}  # beside 66 other tokens, three tiles of four
    make_checkpoint(variant(row("base"), text=text), tmp_path / "checkpoint")
    convert_checkpoint(tmp_path / "checkpoint", tmp_path / "model.gguf")
    with pytest.raises(ContextOverflowError):
        plan_model(tmp_path / "model.gguf", device="cpu")
    assert place_model(tmp_path / "model.gguf", None, LoadOptions(max_memory={"cpu": "2GiB"})) == (
        ("cpu", 2),
    )


def test_the_command_speaks_json(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", str(tiny_model), "--device", "cpu", "--tiles", "2", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["n_tiles"] == 3
    assert report["devices"][-1]["name"] == "CPU"
    assert report["devices"][-1]["peak"] > report["devices"][-1]["compute"] > 0


def test_prompts_beyond_the_context_are_refused(tiny_model: Path) -> None:
    with pytest.raises(ContextOverflowError, match="--pages"):
        plan_model(tiny_model, device="cpu", n_pages=200)
    with pytest.raises(ContextOverflowError, match="--ctx"):
        plan_model(tiny_model, device="cpu", n_ctx=20)


@pytest.mark.parametrize("wrong", [{"n_pages": 0}, {"max_tiles": -1}, {"n_ctx": 0}])
def test_counts_below_one_are_refused(wrong: dict[str, int], tiny_model: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        plan_model(tiny_model, device="cpu", **wrong)


def test_a_device_that_is_not_there_is_refused(tiny_model: Path) -> None:
    with pytest.raises(DeviceError):
        plan_model(tiny_model, device="cuda:7")
