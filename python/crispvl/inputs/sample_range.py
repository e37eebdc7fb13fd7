"""Samples of any depth, scaled to 8 bits: what is white is stated, or found from their range.

A sensor's hot pixels count for nothing there: a few that are far brighter than all others. What is
written has strokes, so it is brighter only where neighbours are as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crispvl.errors import ImageError

COMMON_BITS = (8, 10, 12, 14, 16)
"""Depths of scanners and cameras; values are stored in 16 or 32 bits whatever the depth is."""

FEW_BITS = (1, 4)
"""Depths of masks, and of what has few greys; of integers only."""

_PIXELS_PER_HOT = 10_000  # at least; a smaller picture has no hot ones
_MOST_TOGETHER = 2  # hot pixels that touch; a dot of the smallest print has more

_MASKS = tuple(2.0**bits - 1 for bits in FEW_BITS)
_OVERSHOOT = 0.01  # of white, by which floats may be beyond their range after they were resized
_ROWS = 256  # scaled at a time


def white_level(values: NDArray[Any], depth: int, where: str, stated: object = None) -> float:
    """Returns the value of white: what the file states, or the least depth that holds all values.

    Hot pixels are left out.

    Args:
        values: Integers, or floats, whose white may be 1 as well; ``[height, width]``, or with a
            third axis of samples.
        depth: Bits of the integers' type that can be set.
        where: What the image is called in error messages.
        stated: The greatest value according to the file, if it says so.

    Raises:
        ImageError: The range is none that is known.
    """
    is_float = values.dtype.kind == "f"
    if isinstance(stated, tuple) and stated:  # one for each sample
        stated = stated[0]
    whites = [1.0] if is_float else []
    if isinstance(stated, (int, float)) and (0 if is_float else 254) < stated < 2.0**depth:
        whites.insert(0, float(stated))
    whites += () if is_float else _MASKS
    whites += [2.0**bits - 1 for bits in COMMON_BITS if is_float or bits < depth]
    slack = _OVERSHOOT if is_float else 0.0
    limits = [white * (1 + slack) for white in whites if is_float or white not in _MASKS]
    least, greatest = float(values.min()), _greatest(values, limits)
    full = 2.0**depth - 1
    if not is_float and (depth <= COMMON_BITS[-1] or 2 * greatest > full):
        whites.append(full)
    white = next((white for white in whites if greatest <= white * (1 + slack)), None)
    is_black = white is not None and is_float and 0 < greatest < white / 255
    if white is not None and not is_black and least >= -white * slack:
        return white
    raise ImageError(
        f"[{where}] expected grey values of 8 to 16 bits; found {values.dtype} from {least:g} to "
        f"{greatest:g}; scale them to 0…255"
    )


def eight_bits(values: NDArray[Any], white: float) -> NDArray[np.uint8]:
    """Returns samples scaled from 0…white to 0…255 and rounded, in the same shape.

    What is brighter than white becomes white.
    """
    scaled = np.empty(values.shape, np.uint8)
    for rows in _blocks(len(values)):
        part = values[rows]
        if values.dtype.kind == "f":
            scaled[rows] = np.rint(part.astype(np.float64).clip(0, white) * (255 / white))
        else:
            part = np.minimum(part.astype(np.uint64), int(white))
            scaled[rows] = (part * 255 + int(white) // 2) // int(white)
    return scaled


def are_hot(bright: NDArray[np.bool_]) -> bool:
    """Returns whether bright pixels, ``[height, width]`` or ``[height, width, n]``, are all hot.

    So they are where there are none, or few that stand alone.
    """
    if np.count_nonzero(bright) > bright.size // _PIXELS_PER_HOT:
        return False
    spots = bright.any(axis=2) if bright.ndim == 3 else bright
    if np.count_nonzero(spots) > spots.size // _PIXELS_PER_HOT:
        return False
    spots = np.pad(spots, 1)
    ys, xs = np.nonzero(spots)
    around = range(-1, 2)
    n_together = sum(spots[ys + dy, xs + dx].astype(int) for dy in around for dx in around)
    return bool(np.all(n_together <= _MOST_TOGETHER))


def _greatest(values: NDArray[Any], limits: Iterable[float]) -> float:
    """Returns the greatest value, without hot pixels that are beyond one of the limits."""
    greatest = float(values.max())
    for limit in sorted(limits, reverse=True):
        if greatest > limit:
            bright = values > values.dtype.type(limit)
            if not are_hot(bright):
                break
            greatest = float(values.max(where=~bright, initial=values.min()))
    return greatest


def _blocks(n_rows: int) -> Iterator[slice]:
    for begin in range(0, n_rows, _ROWS):
        yield slice(begin, begin + _ROWS)
