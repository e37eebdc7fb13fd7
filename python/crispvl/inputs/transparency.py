"""Transparent pictures, put on a ground that shows what is on them."""

from __future__ import annotations

import numpy as np
from PIL import Image

_WHITE = 255


def on_ground(image: Image.Image) -> Image.Image:
    """Returns a picture as RGB on white, or on what shows its letters where white does not.

    The core chooses the ground, for the C library as well. Where the alpha hides everything, it
    means nothing: programs that know no transparency write 0 into all of it.
    """
    layer = image.convert("LA") if image.mode == "La" else image
    if layer.mode != "RGBA":  # of a large picture, even a copy counts
        layer = layer.convert("RGBA")
    level = _ground_of(layer)
    if level is None:
        return layer.convert("RGB")
    ground = Image.new("RGBA", layer.size, (level, level, level, 255))
    composed = Image.alpha_composite(ground, layer).convert("RGB")
    composed.info = {name: value for name, value in layer.info.items() if name != "transparency"}
    return composed


def _ground_of(layer: Image.Image) -> int | None:
    try:
        from crispvl._core import ground_of
    except ImportError:  # a picture can be decoded without the core
        return _WHITE
    return ground_of(np.asarray(layer))
