"""Whether there is ink on a page, to tell a blank one before any model sees it."""

from __future__ import annotations

import numpy as np
from PIL import Image


def is_blank(page: Image.Image) -> bool:
    """Returns whether a page holds nothing to read; the rule is in ``csrc/layout/blank.h``."""
    from crispvl._core import is_blank as holds_nothing

    return holds_nothing(np.asarray(page if page.mode in ("L", "RGB") else page.convert("RGB")))
