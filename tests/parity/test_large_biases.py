"""Biases as large as published models have them: Qwen2.5-7B's keys have some of length 900."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cpus import FEATURES, cpu_with
from crispvl import Model, _core
from crispvl.convert import convert_checkpoint
from goldens import Golden, min_cosine
from numpy.typing import NDArray

Floats = NDArray[np.float32]

PROMPT = np.random.default_rng(1).integers(3, 600, 200).tolist()
BIAS = 300.0
D_HEAD = 64


@pytest.fixture(params=FEATURES)
def cpu(request: pytest.FixtureRequest) -> Iterator[None]:
    with cpu_with(request.param):
        yield


@pytest.fixture(scope="module")
def golden(shared_dir: Path) -> Golden:
    """Heads of 64 in the encoder and in the decoder, which our prompt kernels take."""
    return Golden(shared_dir / "goldens" / "chat-qwen2")


@pytest.fixture(scope="module")
def files(golden: Golden, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("biases")
    for dtype in ("f32", "f16"):
        convert_checkpoint(golden.folder, folder / f"{dtype}.gguf", dtype)
    return {dtype: folder / f"{dtype}.gguf" for dtype in ("f32", "f16")}


def with_biases(file: Path, out: Path, name: str, change: Callable[[Floats], None]) -> Path:
    """A copy of a file in which `change` was made to the tensor `name` of every block."""
    data = bytearray(file.read_bytes())
    tensors = _core.GgufFile(str(file))
    for i in range(2):
        old = np.array(tensors.data(name.format(i))).view(np.float32)
        new = old.copy()
        change(new)
        at = data.find(old.tobytes())
        data[at : at + old.nbytes] = new.tobytes()
    out.write_bytes(data)
    return out


def models(
    files: dict[str, Path], folder: Path, name: str, change: Callable[[Floats], None]
) -> list[Model]:
    """The float32 file and the float16 one with their biases changed, on the default paths."""
    changed = [with_biases(path, folder / path.name, name, change) for path in files.values()]
    return [Model.load(path, device="cpu", threads=1) for path in changed]


@pytest.mark.parametrize("channel", [31, 24, 16])
def test_prompts_keep_their_digits_where_keys_share_a_large_bias(
    channel: int, files: dict[str, Path], tmp_path: Path, cpu: None
) -> None:
    """Channel 31 hardly turns with the position, 16 by a milliradian a token."""

    def change(bias: Floats) -> None:
        heads = bias.reshape(-1, D_HEAD)
        heads[:, channel], heads[:, channel + D_HEAD // 2] = BIAS, -BIAS

    loaded = models(files, tmp_path, "blk.{}.attn_k.bias", change)
    wanted, found = (model.trace(None, PROMPT) for model in loaded)
    assert min_cosine(found["llm_final_norm"], wanted["llm_final_norm"]) >= 0.999
    assert min_cosine(found["logits"][None], wanted["logits"][None]) >= 0.999


def test_image_tokens_keep_their_digits_where_keys_share_a_large_bias(
    golden: Golden, files: dict[str, Path], tmp_path: Path, cpu: None
) -> None:
    def change(bias: Floats) -> None:
        bias[::5] += BIAS

    loaded = models(files, tmp_path, "v.blk.{}.attn_k.bias", change)
    wanted, found = (model.encode(golden.tiles) for model in loaded)
    assert min_cosine(found, wanted) >= 0.9999
