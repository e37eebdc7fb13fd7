"""The layout that a model writes before it reads, as pixels.

Qianfan-OCR thinks in layouts: in reading order, for each region of the page,
``<box>[[<COORD_139>,<COORD_134>,<COORD_221>,<COORD_151>]]</box><label>text</label><brief>what it
says</brief>``, with coordinates from 0 to 999 of the page's width and height (arXiv 2603.13398,
section 6.1). The labels are PaddleOCR-VL's, ``doc_title``, ``text``, ``table``, ``image`` and more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from crispvl.results.grounding import find_boxes
from crispvl.results.lines import Rectangle

_ENTRY = re.compile(r"<box>[^<]*(?:<COORD_\d+>[^<]*)*</box>(?:(?!<box>).)*", re.DOTALL)
_LABEL = re.compile(r"<label>([^<]*)</label>")
_SUMMARY = re.compile(r"<brief>(.*?)</brief>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Region:
    """A part of a page.

    Attributes:
        label: What kind of thing it is, in the model's words.
        box: Where.
        summary: What the model noted about it; empty for none.
    """

    label: str
    box: Rectangle
    summary: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns the region as JSON's types."""
        return {"label": self.label, "box": list(self.box), "summary": self.summary}


def find_regions(thought: str, width_px: int, height_px: int) -> tuple[Region, ...]:
    """Returns the regions that a thought lists, in its order; an entry that is cut off is none.

    Args:
        thought: What a model wrote before its answer, special tokens included.
        width_px: Of the page.
        height_px: Likewise.
    """
    regions = []
    for entry in _ENTRY.finditer(thought):
        label, summary = _LABEL.search(entry[0]), _SUMMARY.search(entry[0])
        boxes = find_boxes(entry[0], width_px, height_px)
        if label is None or len(boxes) != 1:
            continue
        (found,) = boxes
        regions.append(
            Region(
                label=label[1].strip(),
                box=Rectangle(found.left, found.top, found.right, found.bottom),
                summary="" if summary is None else summary[1].strip(),
            )
        )
    return tuple(regions)
