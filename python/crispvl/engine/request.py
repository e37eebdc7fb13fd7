"""What is asked of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from crispvl.options import GenerateOptions

if TYPE_CHECKING:
    from crispvl._core import CancelToken
    from crispvl.engine.prefill import SessionSource


class Constraint(Protocol):
    """Chooses the tokens of one answer, such as only those that keep to a grammar."""

    def sample(self, logits: NDArray[np.float32]) -> tuple[int, float]:
        """Returns the next token and its log-probability under the unmodified distribution.

        Args:
            logits: float32 ``[vocab]``.
        """


@dataclass(frozen=True, kw_only=True)
class Request:
    """One prompt and how it is to be answered."""

    prompt_ids: Sequence[int]
    """The whole prompt, image tokens in place, BOS included if wanted."""
    images: Sequence[NDArray[np.uint8]] = ()
    """Per image, in the prompt's order, its tiles: uint8 RGB ``[n_tiles, tile_px, tile_px, 3]``."""
    options: GenerateOptions = field(default_factory=GenerateOptions)
    """Limits and sampling."""
    repair_loops: bool = False
    """Whether the model is brought out of it where it repeats itself. A token is given out only
    once no loop can take it back."""
    sessions: SessionSource | None = None
    """Where the KV cache comes from and what becomes of it; None computes all anew."""
    constraint: Constraint | None = None
    """Chooses the tokens, instead of the options' sampling."""
    cancel: CancelToken | None = None
    """The caller's own. A time limit is part of it, and the time in the queue counts; an answer
    that runs out of time ends with what there is. Several requests may share one."""
