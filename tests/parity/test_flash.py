"""InternVL3.5-Flash against what the published code computed (``tests/data``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl import Model
from crispvl.convert import convert_checkpoint
from goldens import max_difference, min_cosine
from numpy.typing import NDArray
from reference import Reference
from tiny import make_checkpoint
from tiny.rows import row

GOLDEN = Path(__file__).parents[1] / "data" / "flash_golden.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[Any]]:
    with np.load(GOLDEN) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(row("flash"), tmp_path_factory.mktemp("flash") / "checkpoint")


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Model:
    convert_checkpoint(checkpoint, checkpoint.parent / "model.gguf", "f32")
    return Model.load(checkpoint.parent / "model.gguf", device="cpu", threads=1)


def test_oracle_scores_and_shortens_tiles_as_published(
    golden: dict[str, NDArray[Any]], checkpoint: Path
) -> None:
    reference = Reference(checkpoint)
    stages = reference.trace(golden["tiles"], golden["prompt_ids"].tolist())
    assert max_difference(stages["vis_router"][:, 0], golden["router"]) < 1e-6
    assert max_difference(stages["vis_small_output"], golden["small"]) < 1e-6
    is_image = golden["ids"] == reference.checkpoint.image_token_id
    found = stages["llm_embed"][0, is_image]
    assert found.shape == golden["rows"].shape
    assert max_difference(found, golden["rows"]) < 1e-6


def test_engine_scores_and_shortens_tiles_as_published(
    golden: dict[str, NDArray[Any]], model: Model
) -> None:
    large, small, scores = model.core.encode_variants(golden["tiles"])
    assert max_difference(scores, golden["router"][:, 0]) < 1e-5
    assert max_difference(small, golden["small"]) < 2e-5
    assert min_cosine(small, golden["small"]) > 0.999999
    ids, rows = model.core.route(golden["prompt_ids"].tolist(), large, small, scores)
    assert ids == golden["ids"].tolist()
    assert max_difference(rows, golden["rows"]) < 2e-5


def test_shortened_prompt_is_answered_as_the_oracle_does(
    golden: dict[str, NDArray[Any]], checkpoint: Path, model: Model
) -> None:
    prompt = golden["prompt_ids"].tolist()
    want = Reference(checkpoint).greedy(golden["tiles"], prompt, 6)
    answer = model.generate(prompt, golden["tiles"], max_tokens=6, stop_at_eos=False)
    assert list(answer.ids) == want
    assert answer.n_prompt_tokens == len(golden["ids"])


def test_thresholds_decide_which_tiles_keep_their_tokens(checkpoint: Path, tmp_path: Path) -> None:
    import json

    tiles = np.zeros((1, 56, 56, 3), np.uint8)
    for threshold, n_tokens in ((1.0, 4), (0.0, 4)):  # a single tile is above no quantile
        config = json.loads((checkpoint / "config.json").read_text("utf-8"))
        config["flash_absolute_threshold"] = threshold
        folder = tmp_path / str(threshold)
        folder.mkdir()
        for file in checkpoint.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
        convert_checkpoint(folder, folder / "model.gguf", "f32")
        model = Model.load(folder / "model.gguf", device="cpu", threads=1)
        image = model.config["image"]["context_token_id"]
        ids, rows = model.core.route([image] * 4, *model.core.encode_variants(tiles))
        assert (len(ids), len(rows)) == (n_tokens, n_tokens)
