"""Models split over devices whose memory is not the host's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from crispvl.convert import convert_checkpoint
from tiny import make_checkpoint
from tiny.rows import Row, row, variant

# A fresh process, whose crispvl runs on the module with more devices.
PRELUDE = """
import importlib.util, json, sys
import numpy as np
import crispvl
spec = importlib.util.spec_from_file_location("crispvl._core", sys.argv[1])
core = importlib.util.module_from_spec(spec)
spec.loader.exec_module(core)
sys.modules["crispvl._core"] = crispvl._core = core
path = sys.argv[2]
tiles = np.random.default_rng(7).integers(0, 256, (2, 56, 56, 3), np.uint8)

def stages(layers):
    model = core.Model.load(path, None, "cpu", 1, False, exact=True, layers=layers)
    image = model.config["image"]["context_token_id"]
    ids = [5, 9, *[image] * 8, *range(30, 50)]
    embeddings = model.encode(tiles).reshape(-1, model.config["decoder"]["width"])
    session, other = model.new_session(80), model.new_session(80)
    session.prefill(ids, embeddings, None)
    other.prefill(ids[-9:], None, None)
    found = [embeddings, session.logits()]
    session.decode(11, None)
    session.rewind(session.n_past - 3)
    core.Session.decode_batch([session, other], [[12], [13]])
    return [*found, session.logits(), other.logits(), *model.trace(tiles, ids).values()], model
"""


def run(core: Path, model: Path, code: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, str(core), str(model)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def make(chosen: Row, folder: Path, dtype: str) -> Path:
    make_checkpoint(chosen, folder / "checkpoint")
    convert_checkpoint(folder / "checkpoint", folder / "model.gguf", dtype)
    return folder / "model.gguf"


ROWS = [
    variant(row("base"), n_layers=4),
    row("internlm2"),
    row("qwen3-hf-tied"),
    row("vision-6b"),
]


@pytest.mark.parametrize("chosen", ROWS, ids=lambda r: r.name)
def test_every_split_computes_what_the_cpu_does(
    core_with_devices: Path, chosen: Row, tmp_path: Path
) -> None:
    code = """
want, whole = stages([])
n = whole.config["decoder"]["n_layers"]
splits = [
    [("copying:0", n)],
    [("copying:0", 0), ("cpu", n)],
    [("copying:0", 1), ("copying:1", n - 1)],
    [("copying:1", n - 1), ("cpu", 1)],
]
if n > 2:
    splits.append([("copying:0", 1), ("copying:1", 1), ("cpu", n - 2)])
for split in splits:
    found, model = stages(split)
    for a, b in zip(found, want, strict=True):
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max(), split
    names = [name.replace("copying:", "Copying").replace("cpu", "CPU") for name, k in split
             for _ in range(k)]
    assert model.layer_devices == names, model.layer_devices
print(len(splits))
"""
    assert run(core_with_devices, make(chosen, tmp_path, "f32"), code) >= 4


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = variant(row("base"), n_layers=8)
    return make(chosen, tmp_path_factory.mktemp("small"), "f16")


def test_limits_of_memory_split_the_layers(core_with_devices: Path, small: Path) -> None:
    code = """
from crispvl import Model
from crispvl.plan import plan_model
whole = plan_model(path, max_memory={"copying:0": "4GB"})
assert whole.fits and whole.shares == (("copying:0", 8),), whole.shares
first = whole.devices[0]
blocks = sum(t["n_bytes"] for t in Model.load(path, device="cpu").core.tensors
             if t["name"].startswith("blk."))
half = first.peak - (first.kv_cache + blocks) // 2
limits = {"cpu": "4GB", "copying:1": half, "copying:0": half}
plan = plan_model(path, max_memory=limits)
assert plan.fits and len(plan.shares) > 1, plan
model = Model.load(path, max_memory=limits)
spread = [name for d in plan.devices for name in [d.name] * d.layers]
assert sorted(spread) == sorted(model.core.layer_devices)
plain = Model.load(path, device="cpu", exact=True)
prompt = [5, 9, *[model.config["image"]["context_token_id"]] * 8, *range(30, 50)]
found, want = (m.generate(prompt, tiles, max_tokens=12) for m in (model, plain))
assert found.ids == want.ids
print(json.dumps([[d.name, d.layers, d.peak, d.limit] for d in plan.devices]))
"""
    devices = run(core_with_devices, small, code)
    assert sum(layers for _, layers, _, _ in devices) == 8
    assert sum(layers > 0 for _, layers, _, _ in devices) >= 2
    assert all(peak <= limit for _, _, peak, limit in devices if limit is not None)


def test_what_fits_nowhere_is_refused_with_the_plans_advice(
    core_with_devices: Path, small: Path
) -> None:
    code = """
from crispvl import CrispOCR, errors
try:
    CrispOCR(path, max_memory={"copying:0": "300KB"})
except errors.OutOfMemoryError as error:
    print(json.dumps(str(error)))
"""
    message = run(core_with_devices, small, code)
    assert "[max_memory] expected a model that fits" in message
    assert "let the host take layers too" in message


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([("copying:0", 4), ("copying0", 4)], "each device once"),
        ([("copying:0", 3), ("cpu", 4)], "shares of 8 layers"),
        ([("copying:0", 12), ("cpu", -4)], "shares of 8 layers"),
    ],
)
def test_shares_that_make_no_whole_are_refused(
    core_with_devices: Path, small: Path, layers: Any, message: str
) -> None:
    code = f"""
try:
    stages({layers})
except ValueError as error:
    print(json.dumps(str(error)))
"""
    assert message in run(core_with_devices, small, code)


def test_a_device_that_its_backend_does_not_offer_is_no_other_build(
    core_with_devices: Path, small: Path
) -> None:
    code = """
from crispvl.errors import DeviceError
said = {}
for device in ("copying:7", "abacus"):
    try:
        core.Model.load(path, None, device, 1, False)
    except DeviceError as error:
        said[device] = str(error)
print(json.dumps(said))
"""
    said = run(core_with_devices, small, code)
    assert "Copying is built in but offers no such device: check its driver" in said["copying:7"]
    assert "found 'abacus'; install a build of crispvl with that backend" in said["abacus"]
