"""A tiny model wide enough for blocks of 256, and one that is not."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import tiny.checkpoint
import tiny.weights
from crispvl import Model
from crispvl.convert import convert_checkpoint
from crispvl.evaluation.imatrix import collect_importance
from crispvl.quantize.importance import write_importance
from crispvl.reading.ocr import CrispOCR
from PIL import Image
from tiny import ROWS, make_checkpoint


@pytest.fixture(scope="session")
def wide_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    width, n_layers = 256, 8
    sizes = {"hidden_size": width, "num_hidden_layers": n_layers}
    with ExitStack() as patches:
        for table in (tiny.checkpoint.TEXT, tiny.checkpoint.VISION):
            patches.enter_context(mock.patch.dict(table, sizes))
        for module, name, value in (
            (tiny.checkpoint, "TEXT_MLP", width),
            (tiny.checkpoint, "VISION_MLP", width),
            (tiny.weights, "_MLP", width),
            (tiny.weights, "_WIDTH", width),
            (tiny.weights, "_N_LAYERS", n_layers),
        ):
            patches.enter_context(mock.patch.object(module, name, value))
        return make_checkpoint(
            replace(ROWS[0], n_layers=n_layers, d_head=width // 4), folder / "checkpoint"
        )


@pytest.fixture(scope="session")
def wide(wide_checkpoint: Path) -> Path:
    """Float32, width 256, eight layers."""
    path = wide_checkpoint.parent / "wide.gguf"
    convert_checkpoint(wide_checkpoint, path, "f32")
    return path


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Float32, a decoder of width 64: no block of 256 fits."""
    folder = tmp_path_factory.mktemp("narrow")
    make_checkpoint(ROWS[0], folder / "checkpoint")
    convert_checkpoint(folder / "checkpoint", folder / "narrow.gguf", "f32")
    return folder / "narrow.gguf"


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.png"
    pixels = np.random.default_rng(3).integers(0, 256, (80, 120, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="session")
def imatrix(wide: Path, page: Path) -> Path:
    """An importance matrix of the wide model."""
    path = wide.parent / "imatrix.gguf"
    ocr = CrispOCR(Model.load(wide, device="cpu", threads=1, exact=True))
    write_importance(path, collect_importance(ocr, [page], max_tokens=4), [str(page)])
    return path
