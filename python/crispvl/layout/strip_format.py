"""How strips of text lines fill one tile of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from crispvl.model_config import ModelConfig

DEFAULT_LAYOUT_KEY = "crispvl.reading.layout"
"""In a model's file: the layout it was made for; without it, the published rule, ``page``."""

STRIP_KEYS = {
    "n_rows": "crispvl.strips.rows",
    "pitch_px": "crispvl.strips.pitch_px",
    "height_px": "crispvl.strips.height_px",
    "left_px": "crispvl.strips.left_px",
    "gap_px": "crispvl.strips.gap_px",
}
"""Of a model's file, by the fields of `StripFormat`; all may be absent."""


@dataclass(frozen=True, kw_only=True)
class StripFormat:
    """Strips are under each other on a tile, one to a row of image tokens, the first at the top.

    Short ones may share a row.

    Attributes:
        tile_px: Edge of the tile.
        n_rows: Strips of a tile.
        pitch_px: From one strip to the next.
        height_px: Of a strip: a line from its ascenders to its descenders.
        left_px: White to the left of a strip, and at least as much to its right.
        gap_px: White between strips that share a row; 0 where none do.
    """

    tile_px: int
    n_rows: int
    pitch_px: int
    height_px: int
    left_px: int
    gap_px: int = 0

    @property
    def width_px(self) -> int:
        """Of the widest strip."""
        return self.tile_px - 2 * self.left_px

    def as_tuple(self) -> tuple[int, int, int, int, int, int]:
        """Returns the fields in their order, as the core takes them."""
        tile_px, n_rows, pitch_px, height_px, left_px, gap_px = astuple(self)
        return tile_px, n_rows, pitch_px, height_px, left_px, gap_px


def told_strips(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a model's file says of strips, by the fields of `StripFormat`."""
    return {name: metadata[key] for name, key in STRIP_KEYS.items() if key in metadata}


def strip_format(config: ModelConfig, metadata: Mapping[str, Any]) -> StripFormat:
    """Returns what a model was trained for, as its file says, or else what its tiles suggest.

    Without a word of the file, a strip takes one row of image tokens but for a pixel above and
    below, which keeps each token to one line.

    Raises:
        ModelFileError: What the file says does not fit its tiles.
    """
    from crispvl import _core

    told = {name: int(value) for name, value in told_strips(metadata).items()}
    tile_px, tokens_per_tile = config.vision.tile_px, config.projector.tokens_per_tile
    form = _core.strip_format(tile_px, tokens_per_tile, **told)
    return StripFormat(**dict(zip(_FIELDS, form, strict=True)))


_FIELDS = tuple(StripFormat.__dataclass_fields__)
