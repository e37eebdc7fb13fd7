"""How much an answer owes to its image, and how much the model could have made up without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crispvl.engine.prefill import Clock, encode, prefill
from crispvl.engine.steps import MAX_ROWS, Decode, Steps

if TYPE_CHECKING:
    from crispvl._core import CancelToken
    from crispvl.engine.model import Model
    from crispvl.results.generation import Generation


def groundedness(
    model: Model,
    prompt_ids: Sequence[int],
    generation: Generation,
    cancel: CancelToken | None = None,
) -> Steps[float | None]:
    """Returns by how many nats per token the image makes the answer likelier than a blank one.

    The answer is run through the decoder once more with white tiles in the image's place. Text
    that was read scores several nats; text that the model would write without seeing it, near 0.

    Args:
        model: The model that answered.
        prompt_ids: What it was asked, with the image's tokens.
        generation: What it answered.
        cancel: Stops within one token.

    Returns:
        The difference of mean log-probabilities; None for an empty answer.
    """
    if not generation.ids:
        return None
    ids = list(prompt_ids)
    tile_px = model.config["vision"]["tile_px"]
    white = np.full((1, tile_px, tile_px, 3), 255, np.uint8)
    clock = Clock({})
    rows = yield from encode(model, white, cancel, None, clock)
    n_tiles = ids.count(model.config["image"]["context_token_id"]) // len(rows)
    embeddings = np.tile(rows, (n_tiles, 1)) if n_tiles else None
    session = model.core.new_session(len(ids) + len(generation.ids))
    yield from prefill(session, ids, embeddings, cancel, clock)
    blind = _logprob(session.logits(), generation.ids[0])
    given, expected = generation.ids[:-1], generation.ids[1:]
    i = 0
    while i < len(given):
        work = Decode(session, given[i : i + MAX_ROWS], cancel, n_needed=1)
        yield from clock.run("decode_ms", work)
        for i_row in range(len(work.ids)):  # fewer where other answers share the pass
            blind += _logprob(session.logits(i_row), expected[i + i_row])
        i += len(work.ids)
    return float((sum(generation.logprobs) - blind) / len(generation.ids))


def _logprob(logits: np.ndarray[tuple[int, ...], np.dtype[np.float32]], token_id: int) -> float:
    shifted = logits.astype(np.float64) - logits.max()
    return float(shifted[token_id] - np.log(np.exp(shifted).sum()))
