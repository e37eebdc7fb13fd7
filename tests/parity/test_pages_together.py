"""Answers that are written together are the ones that are written alone.

Each row of a product and each sequence's attention is computed by itself, but ggml adds up in
another order where a row is by itself, which shows in the last digits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from crispvl import CrispOCR, Generation, Model
from crispvl.convert import convert_checkpoint
from crispvl.engine.engine import Engine
from crispvl.engine.request import Request
from crispvl.hub import bundled
from crispvl.options import GenerateOptions
from goldens import GOLDENS, Golden, golden_folder
from tiny import ROWS, Row, make_checkpoint

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = (
    GenerateOptions(max_tokens=12, stop_at_eos=False),
    # Among a few tokens only: among hundreds, some draw of some model falls so near to the bound
    # between two that the last digits decide, on each CPU another.
    GenerateOptions(max_tokens=12, stop_at_eos=False, temperature=0.8, top_k=4, seed=5),
)


def prompts(model: Model) -> list[list[int]]:
    n_vocab = model.config["decoder"]["vocab_size"] // 2
    random = np.random.default_rng(0)
    image = model.config["image"]["context_token_id"]
    drawn = [random.integers(1, n_vocab, n).tolist() for n in (3, 1, 8, 30, 2, 5, 17)]
    return [[i for i in ids if i != image] or [1] for ids in drawn]


def assert_same(found: list[Generation], wanted: list[Generation], atol: float) -> None:
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.ids == b.ids
        np.testing.assert_allclose(a.logprobs, b.logprobs, rtol=0, atol=atol)


def assert_same_together(model: Model, options: GenerateOptions) -> None:
    asked = prompts(model)
    alone = [model.generate(ids, options=options) for ids in asked]
    together = Engine(model, n_places=4)
    handles = [together.submit(Request(prompt_ids=ids, options=options)) for ids in asked]
    assert_same([handle.result() for handle in handles], alone, atol=2e-5)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_tiny_models_say_the_same_together(row: Row, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row, tmp_path / "checkpoint")
    convert_checkpoint(checkpoint, tmp_path / "model.gguf", "f32")
    model = Model.load(tmp_path / "model.gguf", device="cpu")
    for options in OPTIONS:
        assert_same_together(model, options)


@pytest.mark.parametrize("name", GOLDENS)
def test_goldens_say_the_same_together(name: str, shared_dir: Path, tmp_path: Path) -> None:
    golden = Golden(golden_folder(shared_dir, name))
    convert_checkpoint(golden.folder, tmp_path / "model.gguf", "f32")
    model = Model.load(tmp_path / "model.gguf", device="cpu")
    assert_same_together(model, OPTIONS[0])
    ids, options = golden.prompt_ids("image"), OPTIONS[0]
    alone = model.generate(ids, golden.tiles, options=options)
    request = Request(prompt_ids=ids, images=(golden.tiles,), options=options)
    together = Engine(model)
    handles = [together.submit(request) for _ in range(3)]
    assert_same([handle.result() for handle in handles], [alone] * 3, atol=2e-5)


@pytest.mark.skipif(not bundled.path().is_file(), reason="no bundled model here")
@pytest.mark.parametrize("exact", [True, False])
def test_the_bundled_model_reads_the_same_together(exact: bool) -> None:
    ocr = CrispOCR(exact=exact)
    pictures = sorted((ROOT / "examples").glob("*.png"))
    assert len(pictures) > 1
    alone = [ocr.recognize(picture).pages[0].generation for picture in pictures]
    many = [page.generation for d in ocr.recognize_many(pictures, streams=4) for page in d.pages]
    assert_same([g for g in many if g], [g for g in alone if g], atol=2e-5 if exact else 1e-3)
