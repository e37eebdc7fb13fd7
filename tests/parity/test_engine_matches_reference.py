"""The engine against the numpy oracle, on a tiny model for every value of every switch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl import Model
from crispvl.convert import convert_checkpoint
from goldens import max_difference, min_cosine
from numpy.typing import NDArray
from reference import Reference
from tiny import ROWS, make_checkpoint

# Float32 kernels against float64: a stage may differ by this share of its largest value. Rounding
# alone stays under 2e-6; the tanh form of GELU, the nearest of the likely mistakes, gives 1e-4.
RELATIVE = 2e-5
COSINE = 1 - 1e-9

TILES = np.random.default_rng(7).integers(0, 256, (2, 56, 56, 3), np.uint8)
TEXT_IDS = [int(i) for i in np.random.default_rng(8).integers(0, 256, 40)]


@dataclass(frozen=True)
class Pair:
    """One model as the oracle and as the engine see it."""

    reference: Reference
    model: Model

    @property
    def image_prompt(self) -> list[int]:
        """Text, two tiles of four tokens, text."""
        return [*TEXT_IDS[:5], *[self.reference.checkpoint.image_token_id] * 8, *TEXT_IDS[5:25]]


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row.name)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder: Path = tmp_path_factory.mktemp("tiny")
    checkpoint = make_checkpoint(request.param, folder / "checkpoint")
    convert_checkpoint(checkpoint, folder / "model.gguf", "f32")
    return Pair(Reference(checkpoint), Model.load(folder / "model.gguf", device="cpu", threads=1))


def assert_close(found: NDArray[Any], want: NDArray[Any], name: str) -> None:
    assert found.shape == want.shape, name
    assert max_difference(found, want) <= RELATIVE, name
    assert min_cosine(found, want) >= COSINE, name


def test_every_stage_equals_the_reference(pair: Pair) -> None:
    found = pair.model.trace(TILES, pair.image_prompt)
    for name, want in pair.reference.trace(TILES, pair.image_prompt).items():
        assert_close(found[name], want, name)


def test_trace_is_the_same_after_untraced_work(pair: Pair) -> None:
    before = pair.model.trace(TILES, pair.image_prompt)
    pair.model.encode(TILES)
    session = pair.model.core.new_session(len(pair.image_prompt))
    session.prefill(pair.image_prompt, None, None)
    after = pair.model.trace(TILES, pair.image_prompt)
    for name, want in before.items():
        assert_close(after[name], want, name)


def test_encode_gives_the_traced_projector_output(pair: Pair) -> None:
    traced = pair.model.trace(TILES, pair.image_prompt)["vis_proj_output"]
    np.testing.assert_allclose(pair.model.encode(TILES), traced, rtol=1e-4, atol=1e-5)


def test_cache_fed_token_by_token_equals_the_reference_fed_so(pair: Pair) -> None:
    steps = [TEXT_IDS[:20], *([token] for token in TEXT_IDS[20:])]
    session = pair.model.core.new_session(len(TEXT_IDS))
    for i, (step, want) in enumerate(
        zip(steps, pair.reference.logits_in_steps(steps), strict=True)
    ):
        if i == 0:
            session.prefill(step, None, None)
        else:
            session.decode(step[0], None)
        assert_close(session.logits(), want, f"step {i}")


def test_cache_fed_in_pieces_equals_the_reference_fed_so(pair: Pair) -> None:
    steps = [TEXT_IDS[:3], TEXT_IDS[3:17], TEXT_IDS[17:]]
    session = pair.model.core.new_session(len(TEXT_IDS))
    for step, want in zip(steps, pair.reference.logits_in_steps(steps), strict=True):
        session.prefill(step, None, None)
        assert_close(session.logits(), want, f"after {session.n_past} tokens")


def test_rewinding_forgets_what_came_after(pair: Pair) -> None:
    session = pair.model.core.new_session(len(TEXT_IDS))
    session.prefill(TEXT_IDS[:10], None, None)
    session.prefill(TEXT_IDS[20:30], None, None)
    session.rewind(10)
    session.prefill(TEXT_IDS[10:20], None, None)
    (_, want) = pair.reference.logits_in_steps([TEXT_IDS[:10], TEXT_IDS[10:20]])
    assert_close(session.logits(), want, "after rewinding")


def test_greedy_answer_equals_the_reference(pair: Pair) -> None:
    want = pair.reference.greedy(TILES, pair.image_prompt, 8)
    answer = pair.model.generate(pair.image_prompt, TILES, max_tokens=8, stop_at_eos=False)
    assert list(answer.ids) == want
