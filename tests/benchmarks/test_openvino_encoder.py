"""OpenVINO's graph computes what crispvl computes, so that their times are of the same work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from crispvl.convert import convert_checkpoint
from crispvl.engine.model import Model
from goldens import min_cosine
from tiny import make_checkpoint
from tiny.rows import row, variant

ov = pytest.importorskip("openvino", reason="OpenVINO is not installed")


@pytest.mark.parametrize("layout", ["chat", "hf"])
def test_its_tokens_are_ours(layout: str, tmp_path: Path) -> None:
    from openvino_encoder import Encoder

    checkpoint = make_checkpoint(variant(row("base"), layout=layout), tmp_path / "tiny")
    text, mmproj = convert_checkpoint(checkpoint, tmp_path / "a.gguf", "f32", "pair").files
    tiles = np.random.default_rng(1).integers(0, 256, (3, 56, 56, 3), np.uint8)
    want = Model.load(text, mmproj, "cpu", 1).encode(tiles)
    for int8, cosine in ((False, 0.99999), (True, 0.999)):
        model = Encoder(mmproj, int8_weights=int8).model()
        run = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = run(tiles)[0]
        assert found.shape == want.shape
        assert min_cosine(found, want) >= cosine


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    from openvino_encoder import read_projector

    checkpoint = make_checkpoint(row("vision-6b"), tmp_path / "tiny")
    _, mmproj = convert_checkpoint(checkpoint, tmp_path / "a.gguf", "f32", "pair").files
    with pytest.raises(SystemExit, match="InternViT-300M"):
        read_projector(mmproj)
