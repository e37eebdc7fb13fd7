"""Prompts of models with a router of tiles (InternVL3.5-Flash): looked at first, then shortened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crispvl.engine.prefill import EncodeSteps, Prompt, encode_each, prefill

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
    core = prompt.model.core

    def run(part: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.float32], ...]]:
        return zip(*core.encode_variants(part, prompt.cancel), strict=True)

    tiles = yield from encode_each(prompt, np.concatenate(prompt.images), run)
    large, small, scores = (np.stack(arrays) for arrays in zip(*tiles, strict=True))
    prompt.ids[:], rows = core.route(prompt.ids, large, small, scores)
    return rows
