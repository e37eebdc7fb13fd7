"""Transparent pictures, put on a ground that shows what is on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from crispvl.inputs.ink import MIN_INK_PX, ink_mask, is_blank

_LEGIBLE = 64
"""Grey levels by which letters must differ from the ground that is put behind them."""

_GROUNDS = (255, 0, 128)
"""In the order in which they are taken: white; black for light letters; grey for both kinds."""

_MOST_OF = 0.8
"""A ground that shows as much of what the best one shows is good enough to be taken before it."""

_COARSE_PX = 32  # shorter side of the picture in which solid areas are looked for
_SOLID_PX = 5  # side of what is solid in it: letters have no stroke as wide


def on_ground(image: Image.Image) -> Image.Image:
    """Returns a picture as RGB on white, or on what shows its letters where white does not.

    Where the alpha hides everything, it means nothing: programs that know no transparency write 0
    into all of it.
    """
    layer = image.convert("RGBA")
    white = _composite(layer, _GROUNDS[0])
    if layer.getchannel("A").getextrema()[0] == 255:
        return white
    masks = {n: ink_mask(_composite(layer, n).convert("L"), least=_LEGIBLE) for n in _GROUNDS}
    height, width = masks[_GROUNDS[0]].shape
    on_ground_itself = _thin(layer.getchannel("A"), (width, height))
    level = _best({n: mask & on_ground_itself for n, mask in masks.items()})
    if level is None and is_blank(white):
        level = _best(masks)
    if level is not None:
        return _composite(layer, level)
    bare = layer.convert("RGB")
    return bare if is_blank(white) and not is_blank(bare) else white


def _composite(layer: Image.Image, level: int) -> Image.Image:
    ground = Image.new("RGBA", layer.size, (level, level, level, 255))
    composed = Image.alpha_composite(ground, layer).convert("RGB")
    composed.info = {name: value for name, value in layer.info.items() if name != "transparency"}
    return composed


def _best(masks: dict[int, NDArray[np.bool_]]) -> int | None:
    """Returns the first ground that shows most of what any shows; None where none shows a thing."""
    shown = {level: int(mask.sum()) for level, mask in masks.items()}
    most = max(shown.values())
    if most < MIN_INK_PX:
        return None
    return next(level for level, n in shown.items() if n >= _MOST_OF * most)


def _thin(alpha: Image.Image, shown_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Returns where a picture is drawn, without areas so wide that they are a ground of their own.

    Args:
        alpha: Of the picture.
        shown_size: Width and height of the result, which is ``[height, width]``.
    """
    scale = _COARSE_PX / min(alpha.size)
    size = max(1, round(alpha.width * scale)), max(1, round(alpha.height * scale))
    solid = alpha.resize(size, Image.Resampling.BOX).point(lambda a: 255 * (a > 250))
    solid = solid.filter(ImageFilter.MinFilter(_SOLID_PX))
    solid = solid.filter(ImageFilter.MaxFilter(_SOLID_PX + 2))  # with its rim
    solid = solid.resize(shown_size, Image.Resampling.NEAREST)
    drawn = alpha.resize(shown_size, Image.Resampling.NEAREST)
    thin: NDArray[np.bool_] = (np.asarray(drawn) > 0) & (np.asarray(solid) == 0)
    return thin
