"""Whether a loaded file computes what the reference computes from its checkpoint."""

from __future__ import annotations

import numpy as np
from crispvl import Model
from goldens import max_difference

from foreign.parts import ForeignModel

# For tiny models: two tiles of four tokens, and bytes as text.
TILES = np.random.default_rng(7).integers(0, 256, (2, 56, 56, 3), np.uint8)
_TEXT_IDS = [int(i) for i in np.random.default_rng(8).integers(0, 256, 25)]

# Float32 kernels against float64: a stage may differ by this share of its largest value.
_RELATIVE = 2e-3


def image_prompt(model: ForeignModel) -> list[int]:
    """Text, the tokens of both tiles, text."""
    image = [model.reference.checkpoint.image_token_id] * 8
    return [*_TEXT_IDS[:5], *image, *_TEXT_IDS[5:]]


def assert_computes_the_reference(found: Model, model: ForeignModel) -> None:
    """Compares every stage and the greedy ids."""
    prompt = image_prompt(model)
    trace = found.trace(TILES, prompt)
    for name, want in model.reference.trace(TILES, prompt).items():
        assert trace[name].shape == want.shape, name
        assert max_difference(trace[name], want) <= _RELATIVE, name
    answer = found.generate(prompt, TILES, max_tokens=6, stop_at_eos=False)
    assert list(answer.ids) == model.reference.greedy(TILES, prompt, 6)
