"""`exact=True` computes in float32: a file gives what the same weights give as float32."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from crispvl import Model, _core
from crispvl.convert import convert_checkpoint
from crispvl.plan import plan_model
from crispvl.quantize import quantize_file
from gguf import GGUFReader, GGUFWriter
from goldens import Golden, max_difference

TYPES = ("f16", "bf16", "q8_0", "q4_k")
PROMPT = np.random.default_rng(1).integers(3, 600, 40).tolist()


@pytest.fixture(scope="module")
def golden(shared_dir: Path) -> Golden:
    return Golden(shared_dir / "goldens" / "chat-qwen2")


@pytest.fixture(scope="module", params=TYPES)
def file(
    request: pytest.FixtureRequest, golden: Golden, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("exact")
    convert_checkpoint(golden.folder, folder / "f32.gguf", "f32")
    quantize_file(folder / "f32.gguf", folder / f"{request.param}.gguf", request.param)
    return folder / f"{request.param}.gguf"


def as_float32(file: Path, out: Path) -> Path:
    """The same weights, each written as the float32 that it means."""
    reader = GGUFReader(file)
    writer = GGUFWriter(out, "qwen2")
    for name, key in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            kind = key.types[-1] if len(key.types) > 1 else None
            writer.add_key_value(name, key.contents(), key.types[0], kind)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, np.ascontiguousarray(values, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def test_a_file_gives_what_its_weights_give_as_float32(
    file: Path, golden: Golden, tmp_path: Path
) -> None:
    wide = as_float32(file, tmp_path / "wide.gguf")
    found, wanted = (Model.load(f, device="cpu", threads=1, exact=True) for f in (file, wide))
    traces = [model.trace(golden.tiles, golden.prompt_ids("image")) for model in (found, wanted)]
    for stage in ("vis_proj_output", "llm_final_norm", "logits"):
        assert max_difference(traces[0][stage], traces[1][stage]) <= 1e-5, stage
    steps = []
    for model in (found, wanted):
        session = model.core.new_session(64)
        session.prefill(PROMPT, None, None)
        session.decode(7, None)
        steps.append(session.logits())
    assert max_difference(steps[0], steps[1]) <= 1e-5


def test_sessions_that_decode_together_differ_by_the_order_of_sums_alone(file: Path) -> None:
    core = Model.load(file, device="cpu", threads=1, exact=True).core
    together, alone = ([core.new_session(64) for _ in range(3)] for _ in range(2))
    for session in (*together, *alone):
        session.prefill(PROMPT, None, None)
    for step in ([7, 8, 9], [10, 11, 12]):
        _core.Session.decode_batch(together, [[i] for i in step])
        for session, token in zip(alone, step, strict=True):
            session.decode(token, None)
    for a, b in zip(together, alone, strict=True):
        assert max_difference(a.logits(), b.logits()) <= 1e-5


def test_one_matrix_at_a_time_takes_memory_as_float32(file: Path, tmp_path: Path) -> None:
    wide = as_float32(file, tmp_path / "wide.gguf")
    narrow_plan, wide_plan = (
        plan_model(f, device="cpu", max_tiles=1, exact=True).devices[-1] for f in (file, wide)
    )
    largest = max(int(tensor.n_bytes) for tensor in GGUFReader(wide).tensors)
    assert wide_plan.compute < narrow_plan.compute <= wide_plan.compute + largest
