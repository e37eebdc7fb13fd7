"""One image on its way to the model, and the text on its way back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crispvl.errors import Cancelled
from crispvl.generation import TokenStream
from crispvl.images import ImageLike, check_readable, open_image, source_name
from crispvl.options import ReadOptions
from crispvl.results import Page, Result
from crispvl.tiling import choose_grid, tile_image


@dataclass(frozen=True, kw_only=True)
class PreparedPage:
    """An image cut into tiles, uint8 ``[n_tiles, px, px, 3]``."""

    source: str
    width_px: int
    height_px: int
    grid: tuple[int, int]
    tiles: NDArray[np.uint8]


def prepare_page(
    image: ImageLike, config: Mapping[str, Mapping[str, Any]], options: ReadOptions
) -> PreparedPage:
    """Opens an image and cuts it as the model was trained, or as the options say.

    Raises:
        FileNotFoundError: The file does not exist.
        ImageError: It is damaged, or too small or thin to hold text.
    """
    source = source_name(image)
    page = open_image(image, source)
    check_readable(page, source)
    rule = config["image"]
    tile_px = config["vision"]["tile_px"]
    max_tiles = options.max_tiles or rule["max_tiles"]
    min_tiles = options.min_tiles or min(rule["min_tiles"], max_tiles)
    return PreparedPage(
        source=source,
        width_px=page.width,
        height_px=page.height,
        grid=choose_grid(page.width, page.height, max_tiles, tile_px, min_tiles),
        tiles=tile_image(page, tile_px, max_tiles, min_tiles, rule["thumbnail"]),
    )


class TextStream(Iterator[str]):
    """The text of an answer as it is written, in chunks of whole characters.

    ``result`` is complete once the stream is exhausted; before, it holds what there is so far.
    """

    def __init__(self, tokens: TokenStream, pages: Sequence[PreparedPage], image_ms: float) -> None:
        self._tokens = tokens
        self._pages = pages
        self._image_ms = image_ms

    def __next__(self) -> str:
        try:
            return next(token.text for token in self._tokens if token.text)
        except Cancelled as error:
            error.partial = self.result
            raise

    def read(self) -> Result:
        """Reads to the end and returns the result."""
        for _ in self:
            pass
        return self.result

    def close(self) -> None:
        """Stops generating and frees the KV cache; ``result`` keeps what there is."""
        self._tokens.close()

    @property
    def result(self) -> Result:
        generation = self._tokens.generation
        pages = []
        if len(self._pages) == 1:  # the answer to several images is no one's page
            (page,) = self._pages
            pages = [
                Page(
                    number=1,
                    text=generation.text,
                    width_px=page.width_px,
                    height_px=page.height_px,
                    grid=page.grid,
                    n_tiles=len(page.tiles),
                    generation=generation,
                )
            ]
        return Result(
            source=self._pages[0].source if self._pages else "",
            generation=generation,
            pages=tuple(pages),
            n_tiles=sum(len(page.tiles) for page in self._pages),
            timings=replace(generation.timings, image_ms=self._image_ms),
        )
