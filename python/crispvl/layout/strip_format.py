"""How strips of text lines fill one tile of a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crispvl.errors import ModelFileError
from crispvl.model_config import ModelConfig

DEFAULT_LAYOUT_KEY = "crispvl.reading.layout"
"""In a model's file: the layout it was made for; without it, the published rule, ``page``."""

STRIP_KEYS = {
    "n_rows": "crispvl.strips.rows",
    "pitch_px": "crispvl.strips.pitch_px",
    "height_px": "crispvl.strips.height_px",
    "left_px": "crispvl.strips.left_px",
}
"""Of a model's file, by the fields of `StripFormat`; all may be absent."""


@dataclass(frozen=True, kw_only=True)
class StripFormat:
    """Strips are under each other on a tile, one to a row of image tokens, the first at the top.

    Attributes:
        tile_px: Edge of the tile.
        n_rows: Strips of a tile.
        pitch_px: From one strip to the next.
        height_px: Of a strip: a line from its ascenders to its descenders.
        left_px: White to the left of a strip, and at least as much to its right.
    """

    tile_px: int
    n_rows: int
    pitch_px: int
    height_px: int
    left_px: int

    @property
    def width_px(self) -> int:
        """Of the widest strip."""
        return self.tile_px - 2 * self.left_px

    @property
    def fits(self) -> bool:
        """Whether all strips are within the tile."""
        return (
            4 <= self.height_px <= self.pitch_px
            and self.n_rows >= 1
            and self.n_rows * self.pitch_px <= self.tile_px
            and 0 <= self.left_px < self.tile_px // 4
        )

    def top_px(self, i_row: int, height_px: int) -> int:
        """Returns where a strip of some height begins, in the middle of its row."""
        return i_row * self.pitch_px + (self.pitch_px - height_px) // 2


def strip_format(config: ModelConfig, metadata: Mapping[str, Any]) -> StripFormat:
    """Returns what a model was trained for, as its file says, or else what its tiles suggest.

    Without a word of the file, a strip takes one row of image tokens but for a pixel above and
    below, which keeps each token to one line.

    Raises:
        ModelFileError: What the file says does not fit its tiles.
    """
    tile_px: int = config.vision.tile_px
    n_token_rows = math.isqrt(config.projector.tokens_per_tile)
    stated = {name: int(metadata[key]) for name, key in STRIP_KEYS.items() if key in metadata}
    pitch_px = stated.get("pitch_px", tile_px // n_token_rows)
    suggested = {
        "n_rows": tile_px // max(1, pitch_px),
        "pitch_px": pitch_px,
        "height_px": pitch_px - 2,
        "left_px": pitch_px // 4 - 1,
    }
    form = StripFormat(tile_px=tile_px, **{**suggested, **stated})
    if not form.fits:
        raise ModelFileError(
            f"[crispvl.strips] expected strips that fit a tile of {tile_px} px; found {stated}; "
            "convert the model again"
        )
    return form
