"""The engine, from checkpoint to text, against what the published model code computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cpus import FEATURES, cpu_with
from crispvl import Model
from crispvl.convert import convert_checkpoint
from goldens import GOLDENS, Golden, golden_folder, min_cosine

# Smallest cosine of an image token with the published one, by the file's type.
PROJECTOR_COSINE = {"f16": 0.9999, "bf16": 0.9999, "q8_0": 0.999}


@pytest.fixture(scope="module", params=GOLDENS)
def golden(request: pytest.FixtureRequest, shared_dir: Path) -> Golden:
    return Golden(golden_folder(shared_dir, request.param))


@pytest.fixture(scope="module")
def model(golden: Golden, tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("golden") / "model.gguf"
    convert_checkpoint(golden.folder, path, "f32")
    return Model.load(path, device="cpu")


@pytest.fixture(scope="module")
def pair(golden: Golden, tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("golden") / "text.gguf"
    report = convert_checkpoint(golden.folder, path, "f32", "pair")
    return Model.load(report.files[0], mmproj=report.files[1], device="cpu")


def test_every_stage_is_the_published_one(golden: Golden, model: Model) -> None:
    trace = model.trace(golden.tiles, golden.prompt_ids("image"))
    text = model.trace(None, golden.prompt_ids("text"))
    golden.compare(trace, text["logits"]).assert_close(relative=2e-3, cosine=0.999999)


def test_pair_computes_what_the_single_file_computes(
    golden: Golden, model: Model, pair: Model
) -> None:
    assert pair.config["decoder"] == model.config["decoder"]
    prompt = golden.prompt_ids("image")
    want = model.trace(golden.tiles, prompt)
    for name, found in pair.trace(golden.tiles, prompt).items():
        np.testing.assert_array_equal(found, want[name], name)


@pytest.mark.parametrize("kind", ["image", "text"])
def test_greedy_answer_is_the_published_one(golden: Golden, model: Model, kind: str) -> None:
    expected, want = golden.expected[kind], golden.certain_ids(kind)
    n = len(expected["greedy_ids"])
    tiles = golden.tiles if kind == "image" else None
    answer = model.generate(golden.prompt_ids(kind), tiles, max_tokens=n, stop_at_eos=False)
    assert list(answer.ids)[: len(want)] == want
    logprobs = expected["greedy_logprobs"][: len(want)]
    np.testing.assert_allclose(answer.logprobs[: len(want)], logprobs, atol=1e-3)
    if list(answer.ids) == expected["greedy_ids"]:
        assert answer.text == expected["greedy_text"]


def test_tokenizer_gives_the_published_ids(golden: Golden, model: Model) -> None:
    bos = [model.config["tokenizer"]["bos_id"]] if model.config["tokenizer"]["add_bos"] else []
    for case in golden.expected["tokenizer_cases"]:
        assert [*bos, *model.tokenize(case["text"])] == case["ids"], case["text"]


@pytest.mark.parametrize("cpu", FEATURES)
@pytest.mark.parametrize("dtype", list(PROJECTOR_COSINE))
def test_smaller_types_keep_the_image_tokens(
    golden: Golden, dtype: str, cpu: str, tmp_path: Path
) -> None:
    convert_checkpoint(golden.folder, tmp_path / "model.gguf", dtype)
    with cpu_with(cpu):
        found = Model.load(tmp_path / "model.gguf", device="cpu").encode(golden.tiles)
    assert min_cosine(found, golden.stages["vis_proj_output"]) >= PROJECTOR_COSINE[dtype]
