"""Mixtures of experts quantise matrix by matrix, each with an importance of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from crispvl import Model, _core
from crispvl.cli import main
from crispvl.convert import convert_checkpoint
from crispvl.quantize import quantize_file
from crispvl.quantize.importance import read_importance, write_importance
from tiny import make_checkpoint
from tiny.rows import row

IDS = [int(i) for i in np.random.default_rng(3).integers(0, 256, 30)]
GATE = "blk.0.ffn_gate_exps.weight"


@pytest.fixture(scope="module", params=["qwen3-moe-hf", "gpt-oss-hf"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experts")
    checkpoint = make_checkpoint(row(request.param), folder / "checkpoint")
    convert_checkpoint(checkpoint, folder / "model.gguf", "f32")
    return folder / "model.gguf"


@pytest.fixture(scope="module")
def sums(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    model = Model.load(path, device="cpu", threads=1, exact=True)
    collector = _core.ImportanceCollector(model.core)
    model.core.new_session(len(IDS)).prefill(IDS, None, None)
    found = dict(collector.sums)
    collector.close()
    return found


def test_each_expert_sums_the_tokens_that_chose_it(path: Path, sums: dict) -> None:
    by_expert, counts = sums[GATE]
    n_experts = Model.load(path, device="cpu").config["decoder"]["experts"]["n"]
    assert by_expert.shape == (n_experts, 64)
    assert counts.sum() == 2 * len(IDS)  # two experts a token
    whole, n = sums["blk.0.ffn_gate_inp.weight"]
    assert n == len(IDS)
    np.testing.assert_allclose(by_expert.sum(0), 2 * whole, rtol=1e-4)
    down, counts_of_down = sums["blk.0.ffn_down_exps.weight"]
    assert down.shape == (n_experts, 32)
    np.testing.assert_array_equal(counts_of_down, counts)


def test_the_command_finds_and_uses_the_importance_of_experts(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("the total of the receipt", "utf-8")
    matrix, text = str(tmp_path / "i.gguf"), str(tmp_path / "a.txt")
    assert main(["imatrix", str(path), matrix, "--text", text, "--device", "cpu"]) == 0
    n_tokens = len(Model.load(path, device="cpu").tokenize("the total of the receipt"))
    assert f"up to {n_tokens} activations each" in capsys.readouterr().err
    assert main(["quantize", str(path), str(tmp_path / "q.gguf"), "q4_0", "--imatrix", matrix]) == 0


def test_importance_of_experts_survives_its_file(sums: dict, tmp_path: Path) -> None:
    write_importance(tmp_path / "i.gguf", sums, ["ids"])
    columns = read_importance(tmp_path / "i.gguf").columns[GATE]
    by_expert, counts = sums[GATE]
    assert columns.shape == by_expert.shape
    for found, values, count in zip(columns, by_expert, counts, strict=True):
        want = values / values.mean() if count else np.ones_like(values)
        np.testing.assert_allclose(found, np.maximum(want, 1e-6), rtol=1e-4)


def test_each_expert_is_written_with_its_own_importance(
    path: Path, sums: dict, tmp_path: Path
) -> None:
    write_importance(tmp_path / "i.gguf", sums, ["ids"])
    quantize_file(path, tmp_path / "out.gguf", "q4_0", imatrix=tmp_path / "i.gguf")
    importance = read_importance(tmp_path / "i.gguf").columns[GATE]
    source = _core.GgufFile(str(path)).data(GATE)
    found = _core.GgufFile(str(tmp_path / "out.gguf")).data(GATE).reshape(len(importance), -1)
    for e, rows in enumerate(np.split(source, len(importance))):
        want = _core.convert_rows(rows, "f32", "q4_0", 64, importance[e])
        np.testing.assert_array_equal(found[e], want)


@pytest.mark.parametrize("kind", ["q8_0", "mxfp4_moe", "q4_0"])
def test_smaller_experts_answer_nearly_alike(path: Path, kind: str, tmp_path: Path) -> None:
    quantize_file(path, tmp_path / "out.gguf", kind)
    types = {
        t["name"]: t["type"].lower() for t in _core.GgufFile(str(tmp_path / "out.gguf")).tensors
    }
    assert types[GATE] == {"mxfp4_moe": "mxfp4"}.get(kind, kind)
    assert types["blk.0.ffn_gate_inp.weight"] == "f32"
    want = Model.load(path, device="cpu").trace(None, IDS[:1])["llm_layer_0"][0, 0]
    found = Model.load(tmp_path / "out.gguf", device="cpu").trace(None, IDS[:1])["llm_layer_0"][
        0, 0
    ]
    cosine = found @ want / np.linalg.norm(found) / np.linalg.norm(want)
    assert cosine > (0.999 if kind == "q8_0" else 0.97)
