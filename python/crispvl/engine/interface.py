"""What the engine needs of a model, so that its parts know a protocol and not `Model` itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from crispvl.prompts.builder import TextModel

if TYPE_CHECKING:
    from crispvl._core import CancelToken
    from crispvl._core import Model as CoreModel


class VisionLanguageModel(TextModel, Protocol):
    """A model that reads images: `crispvl.Model` is one."""

    @property
    def core(self) -> CoreModel:
        """Its weights in the compiled core."""

    def encode(
        self, tiles: NDArray[np.uint8], *, cancel: CancelToken | None = None
    ) -> NDArray[np.float32]:
        """Returns tiles ``[n_tiles, px, px, 3]`` as ``[n_tiles, tokens_per_tile, width]``."""

    def check_prompt(
        self, prompt_ids: Sequence[int], images: Sequence[NDArray[np.uint8]]
    ) -> list[int]:
        """Returns the ids as a list, or raises ValueError where they and the images do not fit."""
