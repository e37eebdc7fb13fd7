"""Shades that are drawn as dots on pages of black and white, made grey again.

A model reads faint grey letters; of scattered dots it makes nothing, and the layout no lines.
"""

from __future__ import annotations

import numpy as np
from PIL import Image


def without_dots(page: Image.Image) -> Image.Image:
    """Returns a page whose dithered parts are shades of grey; itself where it has none.

    Args:
        page: RGB.
    """
    from crispvl._core import smooth_dots

    smooth = smooth_dots(np.asarray(page))
    return page if smooth is None else Image.fromarray(smooth)
