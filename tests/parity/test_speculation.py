"""Guessing tokens changes no answer: not where guesses are right, and not where they are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl import CrispOCR, Generation, Model
from crispvl.convert import convert_checkpoint
from crispvl.engine import token_stream
from crispvl.hub import bundled
from crispvl.options import GenerateOptions
from goldens import GOLDENS, Golden, golden_folder
from tiny import ROWS, Row, make_checkpoint

ROOT = Path(__file__).resolve().parents[2]
PROMPT = [5, 9, 200, 5, 9]
GREEDY = GenerateOptions(max_tokens=24, stop_at_eos=False)
SAMPLED = GenerateOptions(
    max_tokens=24, stop_at_eos=False, temperature=0.7, seed=5, repetition_penalty=1.1
)


class Oracle:
    """Guesses the true answer, with a mistake every few tokens."""

    answer: list[int]
    n_prompt: int

    def __init__(self, ids: list[int]) -> None:
        self.n_tokens = len(ids)

    def push(self, token_id: int) -> None:
        self.n_tokens += 1

    def rewind(self, n_tokens: int) -> None:
        self.n_tokens = n_tokens

    def learn(self, n_right: int, n_guessed: int) -> None:
        pass

    def draft(self, n_most: int) -> list[int]:
        start = self.n_tokens - self.n_prompt
        guesses = self.answer[start : start + min(n_most, start % 7)]
        return [i + (j == 3) for j, i in enumerate(guesses)]


def assert_same(found: Generation, wanted: Generation, atol: float) -> None:
    assert found.ids == wanted.ids
    np.testing.assert_allclose(found.logprobs, wanted.logprobs, rtol=0, atol=atol)


def assert_guesses_change_nothing(
    model: Model, ids: list[int], tiles: Any, options: GenerateOptions
) -> None:
    slow = model.generate(ids, tiles, options=options, speculate=False)
    assert_same(model.generate(ids, tiles, options=options), slow, atol=2e-5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Oracle, "answer", slow.ids, raising=False)
        patch.setattr(Oracle, "n_prompt", len(ids), raising=False)
        patch.setattr(token_stream, "Drafter", Oracle)
        fast = model.generate(ids, tiles, options=options)
    assert_same(fast, slow, atol=2e-5)
    # Where the frequencies change with the length, nothing is guessed.
    if model.config["decoder"]["rope_scaling"] not in ("dynamic", "longrope"):
        assert fast.timings.passes < slow.timings.passes


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_tiny_models_answer_the_same(row: Row, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row, tmp_path / "checkpoint")
    convert_checkpoint(checkpoint, tmp_path / "model.gguf", "f32")
    model = Model.load(tmp_path / "model.gguf", device="cpu")
    for options in (GREEDY, SAMPLED):
        assert_guesses_change_nothing(model, PROMPT, None, options)


@pytest.mark.parametrize("name", GOLDENS)
def test_goldens_answer_the_same(name: str, shared_dir: Path, tmp_path: Path) -> None:
    golden = Golden(golden_folder(shared_dir, name))
    convert_checkpoint(golden.folder, tmp_path / "model.gguf", "f32")
    model = Model.load(tmp_path / "model.gguf", device="cpu")
    assert_guesses_change_nothing(model, golden.prompt_ids("image"), golden.tiles, GREEDY)


@pytest.mark.skipif(not bundled.path().is_file(), reason="no bundled model here")
def test_the_bundled_model_reads_the_same() -> None:
    ocr = CrispOCR()
    for picture in sorted((ROOT / "examples").glob("*.png")):
        fast, slow = (ocr.recognize(picture, speculate=on) for on in (True, False))
        assert fast.text == slow.text
        assert fast.timings.passes <= slow.timings.passes
