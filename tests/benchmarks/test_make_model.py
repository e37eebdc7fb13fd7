"""The random models that are measured: as crispvl and transformers load them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl.engine.model import Model


@pytest.fixture
def tiny() -> Any:
    from make_model import Kind, Tower

    tower = Tower(layers=2, width=64, heads=4, mlp=96)
    return Kind(vision=tower, text=tower, kv_heads=2, d_head=16, vocab=300, tile_px=56, context=512)


def test_every_file_asked_for_is_written_and_runs(tiny: Any, tmp_path: Path) -> None:
    import make_model

    make_model.write_checkpoint(tiny, tmp_path / "tiny")
    files = make_model.write_pairs(tmp_path / "tiny", ["q8_0", "q4_0"], ["f16"])
    assert set(files) == {"tiny-q8_0.gguf", "tiny-q4_0.gguf", "mmproj-tiny-f16.gguf"}
    assert {path.name for path in tmp_path.glob("*.gguf")} == set(files)
    model = Model.load(files["tiny-q8_0.gguf"], files["mmproj-tiny-f16.gguf"], "cpu", 1)
    assert len(model.metadata["tokenizer.ggml.tokens"]) == tiny.vocab
    rows = model.encode(np.full((1, 56, 56, 3), 128, np.uint8))
    assert rows.shape == (1, 4, 64)
    assert np.isfinite(rows).all()
    assert model.tokenize("the <img>")[-1] == model.config["image"]["start_token_id"]


def test_a_pair_of_bfloat16_files_is_the_converters_own(tiny: Any, tmp_path: Path) -> None:
    import make_model

    make_model.write_checkpoint(tiny, tmp_path / "tiny")
    files = make_model.write_pairs(tmp_path / "tiny", ["bf16"], ["bf16"])
    assert set(files) == {"tiny-bf16.gguf", "mmproj-tiny-bf16.gguf"}
    assert all(path.is_file() for path in files.values())


def test_published_sizes_have_the_published_number_of_parameters() -> None:
    from make_model import KINDS, tensor_shapes

    millions = {
        name: sum(int(np.prod(shape)) for _, shape in tensor_shapes(kind)) / 1e6
        for name, kind in KINDS.items()
    }
    assert millions == pytest.approx({"1b": 938, "2b": 2089, "moe": 1700}, rel=0.01)


def test_transformers_finds_every_weight(tiny: Any, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("torch", reason="torch is not installed")
    import make_model

    make_model.write_checkpoint(tiny, tmp_path / "tiny")
    _, found = transformers.AutoModelForImageTextToText.from_pretrained(
        tmp_path / "tiny", output_loading_info=True
    )
    assert not any(found.values())


def test_a_mixture_of_experts_is_written_and_runs(tiny: Any, tmp_path: Path) -> None:
    import make_model

    kind = replace(tiny, experts=make_model.Experts(n=4, used=2, mlp=32))
    make_model.write_checkpoint(kind, tmp_path / "moe")
    files = make_model.write_pairs(tmp_path / "moe", ["q8_0"], ["f16"])
    model = Model.load(files["moe-q8_0.gguf"], files["mmproj-moe-f16.gguf"], "cpu", 1)
    assert model.config["decoder"]["experts"]["n_used"] == 2
    assert len(model.generate([1, 2, 3], max_tokens=2).ids) == 2
