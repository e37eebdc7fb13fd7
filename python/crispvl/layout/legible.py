"""A page as lines are found and read in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def legible_channel(page: Image.Image) -> NDArray[np.uint8]:
    """Returns the one channel of a page in which its letters show, ``[height, width]``.

    That is luma, but for pages like magenta on green of the same brightness, which in luma is even
    grey: those keep red, green or blue. Faint letters are made stronger, and shades that are drawn
    as dots on pages of black and white are made grey again.

    Args:
        page: RGB.
    """
    from crispvl import _core

    return _core.legible_channel(np.asarray(page))
