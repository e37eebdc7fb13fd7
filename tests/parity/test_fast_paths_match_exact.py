"""The fast CPU paths against float32, on 16-bit and 8-bit files of every tiny model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cpus import FEATURES, cpu_with, cpu_without_kernels
from crispvl import Model
from crispvl.convert import convert_checkpoint
from crispvl.quantize import quantize_file
from numpy.typing import NDArray
from tiny import ROWS, make_checkpoint

PROMPT = [int(i) for i in np.random.default_rng(3).integers(0, 256, 90)]
ANSWER = [int(i) for i in np.random.default_rng(4).integers(0, 256, 8)]


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row.name)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(request.param, tmp_path_factory.mktemp("tiny") / "checkpoint")


def logits(model_file: Path, exact: bool = False) -> NDArray[np.float32]:
    """Rows of every decoded token's, after the prompt in one go and after it in three parts."""
    model = Model.load(model_file, device="cpu", threads=1, exact=exact)
    prompt = PROMPT[: model.config["decoder"]["context_length"] - len(ANSWER)]
    whole, parts = (model.core.new_session(len(prompt) + len(ANSWER)) for _ in range(2))
    whole.prefill(prompt, None, None)
    for part in (prompt[:31], prompt[31:33], prompt[33:]):
        parts.prefill(part, None, None)
    found = []
    for session in (whole, parts):
        for token in ANSWER:
            session.decode(token, None)
            found.append(session.logits())
    return np.stack(found)


def mean_error(found: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """1 - cosine, averaged over rows: what one row's rounding does is chance."""
    lengths = np.linalg.norm(found, axis=-1) * np.linalg.norm(truth, axis=-1)
    return float(np.mean(1 - (found * truth).sum(-1) / lengths))


@pytest.mark.parametrize("cpu", FEATURES)
def test_prompts_on_the_fast_path_are_as_good_as_on_ggmls(
    checkpoint: Path, cpu: str, tmp_path: Path
) -> None:
    convert_checkpoint(checkpoint, tmp_path / "f32.gguf", "f32")
    truth = logits(tmp_path / "f32.gguf", exact=True)
    for dtype in ("f16", "bf16", "q8_0"):
        file = tmp_path / f"{dtype}.gguf"
        convert_checkpoint(checkpoint, file, dtype)
        with cpu_without_kernels():
            plain = mean_error(logits(file), truth)
        with cpu_with(cpu):
            fast = mean_error(logits(file), truth)
        # 16-bit weights bound the error themselves; with 8-bit ones both paths round activations to
        # 8 bits, and ours may not be worse than ggml's.
        assert fast <= (1.5 * plain + 1e-4 if dtype == "q8_0" else 1e-3), dtype


def test_gates_and_ups_of_two_types_are_read_as_what_they_are(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(ROWS[0], tmp_path / "checkpoint")
    convert_checkpoint(checkpoint, tmp_path / "f32.gguf", "f32")
    truth = logits(tmp_path / "f32.gguf", exact=True)
    file = tmp_path / "mixed.gguf"
    types = ["blk.*.ffn_gate.weight=q8_0", "blk.*.ffn_up.weight=q5_1"]
    quantize_file(tmp_path / "f32.gguf", file, "f16", overrides=types)
    fast = mean_error(logits(file), truth)
    with cpu_without_kernels():
        plain = mean_error(logits(file), truth)
    assert fast <= 1.5 * plain + 1e-4
