"""Pages whose letters differ from the paper in colour and not in brightness, or hardly at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def contrast_channel(page: Image.Image) -> NDArray[np.uint8]:
    """Returns the one channel of a page in which its letters show, ``[height, width]``.

    That is luma, but for pages like magenta on green of the same brightness, which in luma is even
    grey: those keep red, green or blue. Faint letters are made stronger.

    Args:
        page: RGB.
    """
    from crispvl import _core

    return _core.contrast_channel(np.asarray(page))
