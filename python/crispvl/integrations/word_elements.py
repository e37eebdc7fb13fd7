"""Words as OCRmyPDF lays them: each from left to right, or from right to left as a whole."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import groupby

from ocrmypdf import BoundingBox, OcrClass, OcrElement

_RIGHT_TO_LEFT = ("R", "AL")
_NUMBERS = ("EN", "AN")  # which run from left to right in every script
_WITHIN_NUMBERS = ("ES", "CS")  # as in 1,234.5 and 12:30


def word_elements(text: str, box: BoundingBox) -> list[OcrElement]:
    """Returns a word, or its parts in the order in which they are read.

    The numbers and Latin letters within a word that runs from right to left are parts of their
    own: laid with it, they would be mirrored. The parts share its width by their characters.
    """
    parts = [*_runs(text)] if _begins_at_the_right(text) else [text]
    width = (box.right - box.left) / max(1, len(text))
    elements, right = [], box.right
    for part in parts:
        left = right - width * len(part) if len(parts) > 1 else box.left
        place = BoundingBox(left, box.top, right, box.bottom)
        elements.append(OcrElement(ocr_class=OcrClass.WORD, bbox=place, text=part))
        right = left
    return elements


def _begins_at_the_right(text: str) -> bool:
    kinds = (unicodedata.bidirectional(character) for character in text)
    return next((kind for kind in kinds if kind in ("L", *_RIGHT_TO_LEFT)), "L") != "L"


def _runs(text: str) -> Iterator[str]:
    kinds = [unicodedata.bidirectional(character) for character in text]
    for i in range(1, len(kinds) - 1):
        if kinds[i] in _WITHIN_NUMBERS and kinds[i - 1] in _NUMBERS and kinds[i + 1] in _NUMBERS:
            kinds[i] = kinds[i - 1]
    pairs = zip(text, kinds, strict=True)
    for _, run in groupby(pairs, key=lambda pair: pair[1] in ("L", *_NUMBERS)):
        yield "".join(character for character, _ in run)
