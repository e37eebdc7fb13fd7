"""Boxes that a model writes around what it names, as pixels.

InternVL answers ``<ref>label</ref><box>[[x1, y1, x2, y2], …]</box>`` with coordinates from 0 to
1000 of the image's width and height (the model cards' grounding examples). Qianfan-OCR has a token
for each coordinate, ``<COORD_0>`` to ``<COORD_999>`` (arXiv 2603.13398).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SCALE = 1000
"""The coordinate of an image's right and lower edge, as a number."""

TOKEN_SCALE = 999
"""The same as a token."""

COORDINATE_TOKEN = re.compile(r"<COORD_(\d+)>")

_NUMBER = r"\s*(\d+(?:\.\d+)?|<COORD_\d+>)\s*"
_GROUP = re.compile(
    r"(?:<ref>(?P<label>[^<]*)</ref>\s*)?<box>(?P<boxes>(?:[^<]|<COORD_\d+>)*)(?:</box>|$)"
)
_BOX = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]")


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle in an image's pixels, and what the model says it holds."""

    label: str
    left: float
    top: float
    right: float
    bottom: float


def find_boxes(text: str, width_px: int, height_px: int) -> tuple[Box, ...]:
    """Returns the boxes that a text names, in the order of the text.

    Corners are put in order and kept within the image.

    Args:
        text: An answer with its ``<ref>`` and ``<box>`` tokens.
        width_px: Of the image that was asked about.
        height_px: Likewise.
    """
    boxes = []
    for group in _GROUP.finditer(text):
        for match in _BOX.finditer(group["boxes"]):
            x1, y1, x2, y2 = map(_share, match.groups())
            boxes.append(
                Box(
                    label=(group["label"] or "").strip(),
                    left=min(x1, x2) * width_px,
                    top=min(y1, y2) * height_px,
                    right=max(x1, x2) * width_px,
                    bottom=max(y1, y2) * height_px,
                )
            )
    return tuple(boxes)


def _share(coordinate: str) -> float:
    """Of the image's edge, from 0 to 1."""
    token = COORDINATE_TOKEN.fullmatch(coordinate)
    return min(float(coordinate) / SCALE if token is None else int(token[1]) / TOKEN_SCALE, 1.0)
