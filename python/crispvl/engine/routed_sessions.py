"""Prompts of models with a router of tiles (InternVL3.5-Flash): looked at first, then shortened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crispvl.engine.prefill import EncodeSteps, Prompt, prefill
from crispvl.engine.steps import Encoded, Slice

if TYPE_CHECKING:
    from crispvl._core import Session


class RoutedSessions:
    """A session of its own for every prompt (a `crispvl.engine.prefill.SessionSource`).

    Which tiles give tokens up depends on all of a prompt's, so nothing is kept from one prompt to
    the next. The tokens given up leave ``prompt.ids``.
    """

    def acquire(self, prompt: Prompt) -> EncodeSteps[tuple[Session, int]]:
        embeddings = None
        if prompt.images:
            embeddings = yield from _encode(prompt)
        session = prompt.model.core.new_session(prompt.n_tokens)
        yield from prefill(session, prompt.ids, embeddings, prompt.cancel, prompt.clock)
        return session, 0

    def release(self, session: Session, ids: Sequence[int]) -> None:
        pass


def _encode(prompt: Prompt) -> EncodeSteps[NDArray[np.float32]]:
    """Shortens the prompt; returns the rows of the image tokens that are left in it."""
    core, tiles = prompt.model.core, np.concatenate(prompt.images)
    parts: list[tuple[NDArray[np.float32], ...]] = []
    n_slice = core.tiles_per_graph
    for i in range(0, len(tiles), n_slice):
        part = tiles[i : i + n_slice]

        def run(part: NDArray[np.uint8] = part) -> None:
            parts.append(core.encode_variants(part, prompt.cancel))

        yield from prompt.clock.run("encode_ms", Slice(run))
        yield Encoded(min(i + n_slice, len(tiles)), len(tiles))
    large, small, scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    prompt.ids[:], rows = core.route(prompt.ids, large, small, scores)
    return rows
