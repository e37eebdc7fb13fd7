"""What a page costs in each layout, without reading it: prompts, tiles and image tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

from crispvl.layout.legible import legible_channel
from crispvl.layout.page_strips import PageStrips
from crispvl.layout.strip_format import strip_format
from crispvl.model_config import ModelConfig
from crispvl.options import ReadOptions
from crispvl.reading.pages import page_regions, tile_limits
from crispvl.tiling import choose_grid


@dataclass(frozen=True, kw_only=True)
class LayoutCost:
    """Of one page in one layout.

    Attributes:
        layout: How the page is shown.
        n_prompts: Answers that are asked for; of lines, without those that are asked again.
        n_tiles: Tiles that are encoded.
        n_image_tokens: Tokens of all tiles.
        n_largest: Image tokens of the largest prompt, which the context has to hold.
    """

    layout: Literal["page", "blocks", "lines"]
    n_prompts: int
    n_tiles: int
    n_image_tokens: int
    n_largest: int


def layout_costs(
    page: Image.Image, config: ModelConfig, metadata: Mapping[str, Any], options: ReadOptions
) -> Iterator[LayoutCost]:
    """Yields the cost of an RGB page in each layout.

    Args:
        page: As it is.
        config: Of the model.
        metadata: Of the model's file.
        options: Tiles.
    """
    from crispvl._core import find_layout

    pixels = legible_channel(page)
    layout = find_layout(pixels)
    whole = [_n_tiles(page.width, page.height, config, options)]
    regions = page_regions(layout, config, options)
    parts = [_n_tiles(r.right - r.left, r.bottom - r.top, config, options) for r in regions]
    strips = PageStrips(pixels, layout.lines, strip_format(config, metadata))
    n_line_tiles = len(strips.shown_to(strips.looks[0]))
    yield _cost("page", whole, config)
    yield _cost("blocks", parts, config)
    yield _cost("lines", [1] * n_line_tiles, config)


def _cost(
    layout: Literal["page", "blocks", "lines"], n_tiles: Sequence[int], config: ModelConfig
) -> LayoutCost:
    per_tile = config.projector.tokens_per_tile
    return LayoutCost(
        layout=layout,
        n_prompts=len(n_tiles),
        n_tiles=sum(n_tiles),
        n_image_tokens=per_tile * sum(n_tiles),
        n_largest=per_tile * max(n_tiles, default=0),
    )


def _n_tiles(width: float, height: float, config: ModelConfig, options: ReadOptions) -> int:
    min_tiles, max_tiles = tile_limits(config, options)
    tile_px = int(config.vision.tile_px)
    columns, rows = choose_grid(round(width), round(height), max_tiles, tile_px, min_tiles)
    n_tiles = columns * rows
    return n_tiles + int(config.image.thumbnail and n_tiles > 1)
