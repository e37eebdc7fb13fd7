"""The oracle against transformers, where that is installed: the RoPE scalings, which no golden has.

Prompts are longer than the tiny models' trained length, so every scaling acts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from goldens import max_difference
from reference import Reference
from reference.preprocess import normalise
from tiny import Row, make_checkpoint
from tiny.rows import row, variant

ROWS = [
    row("qwen2-hf"),
    row("vision-6b-hf"),
    row("qwen3-hf-tied"),
    row("llama-hf-bias"),
    row("mistral-hf"),
    row("qwen3-sliding-hf"),
    row("qwen3-moe-hf"),
    row("gpt-oss-hf"),
    row("phi3-hf"),
    row("rope-yarn-whole-ramp"),
    row("rope-llama3"),
    variant(row("qwen3-moe-not-normalised"), layout="hf"),
    variant(row("qwen2-sliding"), layout="hf"),
    row("rope-yarn-new-spelling"),
    *(variant(row(f"rope-{kind}"), layout="hf") for kind in ("linear", "dynamic", "yarn")),
]


@pytest.mark.parametrize("tiny_row", ROWS, ids=lambda r: r.name)
def test_logits_and_image_tokens_are_those_of_transformers(tiny_row: Row, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = make_checkpoint(tiny_row, tmp_path / "checkpoint")
    model: Any = transformers.InternVLForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager", experts_implementation="eager"
    )
    reference = Reference(folder)
    vision = reference.checkpoint.vision
    tiles = np.random.default_rng(5).integers(0, 256, (2, 56, 56, 3), np.uint8)
    ids = [*range(40, 60), *[reference.checkpoint.image_token_id] * 8, *range(60, 100)]
    pixels = torch.from_numpy(normalise(tiles, vision.mean, vision.std))
    with torch.no_grad():
        image = model.get_image_features(pixel_values=pixels)
        logits = model(input_ids=torch.tensor([ids]), pixel_values=pixels).logits[0, -1]
    image = getattr(image, "pooler_output", image)
    trace = reference.trace(tiles, ids)
    found = trace["vis_proj_output"].reshape(-1, 64)
    assert max_difference(found, image.reshape(-1, 64).numpy()) < 1e-6
    assert max_difference(trace["logits"], logits.numpy()) < 1e-5
