"""The parity table against the goldens: what passes, what must fail, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from crispvl import Model
from crispvl.cli import main
from crispvl.cli.verify import lines
from crispvl.convert import convert_checkpoint
from crispvl.errors import ModelFileError
from crispvl.quantize import quantize_file
from crispvl.verify import Expected, read_golden, verify_model
from crispvl.verify.expected import ExpectedPrompt
from goldens import GOLDENS, golden_folder
from tiny import make_checkpoint
from tiny.checkpoint import random_tensors, write_safetensors
from tiny.rows import ROWS, row, variant


@pytest.fixture(scope="module")
def files(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("verify")
    paths = {name: folder / f"{name}.gguf" for name in GOLDENS}
    for name, path in paths.items():
        convert_checkpoint(golden_folder(shared_dir, name), path, "f32")
    return paths


@pytest.mark.parametrize("name", GOLDENS)
@pytest.mark.parametrize("recipe", ["f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m"])
def test_every_golden_passes_in_every_judged_type(
    name: str, recipe: str, files: dict[str, Path], shared_dir: Path, tmp_path: Path
) -> None:
    path = files[name]
    if recipe != "f32":
        path = tmp_path / "out.gguf"
        quantize_file(files[name], path, recipe)
    verdict = verify_model(
        Model.load(path, device="cpu", threads=2), read_golden(golden_folder(shared_dir, name))
    )
    assert [row.stage for row in verdict.stages if not row.passed] == []
    assert verdict.passed, verdict.answers
    stages = {row.stage for row in verdict.stages}
    assert {"vis_proj_output", "llm_final_norm", "logits_image", "logits_text"} <= stages


def test_a_wrong_weight_fails(files: dict[str, Path], shared_dir: Path, tmp_path: Path) -> None:
    from crispvl import _core

    path = tmp_path / "wrong.gguf"
    data = bytearray(files["chat-qwen2"].read_bytes())
    file = _core.GgufFile(str(files["chat-qwen2"]))
    norm = file.data("blk.1.ffn_norm.weight").tobytes()
    at = data.find(norm)
    data[at : at + 4] = (np.frombuffer(norm, np.float32)[:1] * np.float32(1.5)).tobytes()
    path.write_bytes(data)
    golden = str(shared_dir / "goldens" / "chat-qwen2")
    verdict = verify_model(Model.load(path, device="cpu"), read_golden(golden))
    failed = [row.stage for row in verdict.stages if not row.passed]
    assert "llm_layer_1" in failed
    assert "llm_layer_0" not in failed
    assert main(["verify", str(path), "--golden", golden]) == 1


@pytest.mark.parametrize("name", ["hf-qwen3moe", "hf-gptoss"])
@pytest.mark.parametrize("recipe", ["f16", "q8_0"])
@pytest.mark.parametrize("part", ["attn_norm", "output_norm", "ffn_gate_inp"])
def test_a_wrong_tensor_of_a_rounded_mixture_of_experts_fails(
    part: str, recipe: str, name: str, files: dict[str, Path], shared_dir: Path, tmp_path: Path
) -> None:
    from crispvl import _core

    path = tmp_path / "wrong.gguf"
    quantize_file(files[name], path, recipe)
    data = bytearray(path.read_bytes())
    tensor = f"{part}.weight" if part == "output_norm" else f"blk.0.{part}.weight"
    weight = _core.GgufFile(str(path)).data(tensor).tobytes()
    at = data.find(weight)
    values = np.frombuffer(weight, np.float32)
    data[at : at + len(weight)] = values[::-1].tobytes()
    path.write_bytes(data)
    golden = read_golden(golden_folder(shared_dir, name))
    verdict = verify_model(Model.load(path, device="cpu"), golden)
    assert verdict.may_reroute
    assert not verdict.passed
    assert not any(row.judged for row in verdict.answers)


def test_a_lost_factor_of_the_last_norm_fails(
    files: dict[str, Path], shared_dir: Path, tmp_path: Path
) -> None:
    from crispvl import _core

    path = tmp_path / "wrong.gguf"
    quantize_file(files["chat-qwen2"], path, "f16")
    data = bytearray(path.read_bytes())
    norm = _core.GgufFile(str(path)).data("output_norm.weight").tobytes()
    at = data.find(norm)
    data[at : at + len(norm)] = (2 * np.frombuffer(norm, np.float32)).tobytes()
    path.write_bytes(data)
    golden = read_golden(shared_dir / "goldens" / "chat-qwen2")
    verdict = verify_model(Model.load(path, device="cpu"), golden)
    failed = {row.stage: row.norm_ratio for row in verdict.stages if not row.passed}
    assert set(failed) == {"llm_final_norm", "logits_image", "logits_text"}
    assert all(abs(ratio - 2) < 0.01 for ratio in failed.values())


def test_numbers_that_are_none_fail_from_the_stage_where_they_begin(
    files: dict[str, Path], shared_dir: Path, tmp_path: Path
) -> None:
    from crispvl import _core

    path = tmp_path / "wrong.gguf"
    data = bytearray(files["chat-qwen2"].read_bytes())
    norm = _core.GgufFile(str(files["chat-qwen2"])).data("output_norm.weight").tobytes()
    at = data.find(norm)
    data[at : at + 4] = np.float32(np.nan).tobytes()
    path.write_bytes(data)
    golden = read_golden(shared_dir / "goldens" / "chat-qwen2")
    verdict = verify_model(Model.load(path, device="cpu"), golden)
    assert not verdict.passed
    assert not any(row.passed for row in verdict.answers)
    failed = {row.stage for row in verdict.stages if not row.passed}
    assert failed == {"llm_final_norm", "logits_image", "logits_text"}


def test_the_command_prints_the_table_and_tells_success(
    files: dict[str, Path], shared_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = str(shared_dir / "goldens" / "hf-qwen3")
    assert main(["verify", str(files["hf-qwen3"]), "--golden", golden]) == 0
    printed = capsys.readouterr().out
    assert "vis_layer_0" in printed
    assert printed.endswith("passed\n")
    assert main(["verify", str(files["hf-qwen3"]), "--golden", golden, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["passed"]
    assert report["stages"][0]["cosine_min"] > 0.999


def test_a_golden_of_another_model_is_refused(files: dict[str, Path], shared_dir: Path) -> None:
    golden = str(shared_dir / "goldens" / "chat-internlm2")
    assert main(["verify", str(files["hf-qwen3"]), "--golden", golden]) in (1, 2)


@pytest.mark.parametrize("name", ["hf-qwen3", "hf-internlm3", "hf-vit6b-qwen2"])
def test_transformers_agree_live(
    name: str, files: dict[str, Path], shared_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="no torch to run transformers with")
    pytest.importorskip("transformers", reason="no transformers to compare with")
    checkpoint = str(shared_dir / "goldens" / name)
    assert main(["verify", str(files[name]), "--against", checkpoint]) == 0
    assert "llm_layer_0" in capsys.readouterr().out


def test_transformers_agree_live_on_qianfans_spelling(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="no torch to run transformers with")
    pytest.importorskip("transformers.models.qianfan_ocr", reason="transformers knows it not yet")
    base = variant(row("qwen2-hf"), family="qwen3", extra={"model_type": "qianfan_ocr"})
    checkpoint = make_checkpoint(base, tmp_path / "own")
    # Transformers looks for the encoder's weights under the other layout's names.
    published = dict(random_tensors(variant(base, layout="chat"), 0))
    write_safetensors(checkpoint / "model.safetensors", published, "F32")
    path = tmp_path / "own.gguf"
    convert_checkpoint(checkpoint, path, "f32")
    assert main(["verify", str(path), "--against", str(checkpoint)]) == 0


def test_the_chat_layout_is_not_run_live(
    files: dict[str, Path], shared_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = str(shared_dir / "goldens" / "chat-qwen2")
    assert main(["verify", str(files["chat-qwen2"]), "--against", checkpoint]) == 2
    assert "-hf" in capsys.readouterr().err


def test_near_ties_may_go_either_way(files: dict[str, Path], shared_dir: Path) -> None:
    model = Model.load(files["chat-qwen2"], device="cpu")
    expected = read_golden(shared_dir / "goldens" / "chat-qwen2")
    text = expected.prompts["text"]
    other = [*text.greedy_ids[:3], text.greedy_ids[3] + 1, *text.greedy_ids[4:]]
    for margin, passes in ((0.001, True), (0.5, False)):
        margins = [margin if i == 3 else 9.0 for i in range(len(other))]
        prompt = replace(text, greedy_ids=other, margins=margins)
        changed = replace(expected, prompts={**expected.prompts, "text": prompt})
        verdict = verify_model(model, changed)
        answers = {row.prompt: row for row in verdict.answers}
        assert answers["text"].n_same == 3
        assert answers["text"].passed is passes
        (line,) = (line for line in lines(verdict) if line.startswith("text ids"))
        assert ("ok: at the next" in line) is passes


def test_incomplete_goldens_are_refused(shared_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected\.npz"):
        read_golden(tmp_path)
    for name in ("expected.npz", "expected.json"):
        shutil.copy(shared_dir / "goldens" / "chat-qwen2" / name, tmp_path)
    (tmp_path / "expected.json").write_text('{"image": {}}')
    with pytest.raises(ModelFileError, match="prompt_ids"):
        read_golden(tmp_path)
    (tmp_path / "expected.json").write_text("{}")
    with pytest.raises(ModelFileError, match="image"):
        read_golden(tmp_path)
    (tmp_path / "expected.npz").write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(ModelFileError):
        read_golden(tmp_path)


def test_a_reference_that_is_kept_is_a_golden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = make_checkpoint(ROWS[0], tmp_path / "checkpoint")
    model = convert_checkpoint(checkpoint, tmp_path / "tiny.gguf", "f32").files[0]
    computed = own_reference(Model.load(model, device="cpu", threads=1))
    monkeypatch.setattr("crispvl.verify.live.compute_expected", lambda *_: computed)
    kept = tmp_path / "kept"
    asked = ["verify", str(model), "--against", str(checkpoint), "--save-golden", str(kept)]
    assert main(asked) == 0
    assert sorted(file.name for file in kept.iterdir()) == ["expected.json", "expected.npz"]
    assert main(["verify", str(model), "--golden", str(kept)]) == 0
    assert read_golden(kept).prompts == computed.prompts
    assert main(["verify", str(model), "--golden", str(kept), "--save-golden", "x"]) == 2
    assert "[--save-golden] expected --against" in capsys.readouterr().err


def test_where_no_reference_can_be_kept_nothing_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Model, "load", lambda *_, **__: pytest.fail("it was loaded"))
    (tmp_path / "file").touch()
    asked = ["verify", "a.gguf", "--against", "a", "--save-golden", str(tmp_path / "file")]
    assert main(asked) == 2
    assert "[output] expected a folder" in capsys.readouterr().err


def own_reference(model: Model) -> Expected:
    """What a model itself computes of a grey tile, in place of a reference."""
    image, vision = model.config.image, model.config.vision
    tiles = np.full((1, vision.tile_px, vision.tile_px, 3), 200, np.uint8)
    context = [image.context_token_id] * model.config.projector.tokens_per_tile
    ids = [image.start_token_id, *context, image.end_token_id]
    traced = model.trace(tiles, ids)
    found = model.generate(ids, tiles, max_tokens=3)
    margins = [1.0] * len(found.ids)
    return Expected(
        source="itself",
        tiles=tiles,
        stages={name: traced[name] for name in ("vis_proj_output", "llm_final_norm")},
        logits={"image": traced["logits"]},
        prompts={
            "image": ExpectedPrompt(
                prompt_ids=ids, greedy_ids=found.ids, margins=margins, text=found.text
            )
        },
    )
