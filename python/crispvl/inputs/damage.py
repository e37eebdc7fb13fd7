"""Damage within encoded pictures of which decoders make a picture all the same.

Pillow hears of neither libjpeg's nor libtiff's warnings. So the codes of a JPEG are gone through by
the core, and a page of Group 4, whose encoding ITU-T T.6 lays down bit by bit, is encoded again.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image

DAMAGED = "damaged"
"""Key in the ``info`` of a picture that was made of damaged data."""

_JPEG_MARK = b"\xff\xd8"
_GROUP_4, _JPEG = 4, 7  # TIFF's compressions
_COMPRESSION, _FILL_ORDER, _ROWS_PER_STRIP, _JPEG_TABLES = 259, 266, 278, 347  # TIFF's tags
_PIECES = ((273, 279), (324, 325))  # tags of places and sizes of strips, and of tiles
_END_BYTES = 4  # the end-of-block code of Group 4 and what fills up its byte
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def is_damaged(data: bytes, image: Image.Image) -> bool:
    """Returns whether a decoder found more in a picture's data than it says.

    Args:
        data: Of the whole file.
        image: Opened from it by Pillow, and decoded.
    """
    if data.startswith(_JPEG_MARK):
        return _is_damaged_jpeg(data)
    tags: Any = getattr(image, "tag_v2", None)
    if tags is None:
        return False
    compression = tags.get(_COMPRESSION)
    if compression == _JPEG:
        tables = bytes(tags.get(_JPEG_TABLES, _JPEG_MARK + b"\xff\xd9"))
        return any(_is_damaged_jpeg(tables[:-2] + piece[2:]) for piece in _pieces(data, tags))
    if compression == _GROUP_4 and image.mode == "1" and _PIECES[0][0] in tags:
        return _is_damaged_group_4(list(_pieces(data, tags)), image, tags)
    return False


def _is_damaged_jpeg(data: bytes) -> bool:
    try:
        from crispvl._core import jpeg_is_damaged
    except ImportError:  # a picture can be decoded without the core
        return False
    return jpeg_is_damaged(data)


def _pieces(data: bytes, tags: Any) -> Iterator[bytes]:
    """Yields the strips or tiles of a TIFF's page as they are in the file."""
    for places, sizes in _PIECES:
        for at, n_bytes in zip(tags.get(places, ()), tags.get(sizes, ()), strict=False):
            yield data[at : at + n_bytes]


def _is_damaged_group_4(strips: Sequence[bytes], image: Image.Image, tags: Any) -> bool:
    n_rows = min(tags.get(_ROWS_PER_STRIP, image.height), image.height)
    if tags.get(_FILL_ORDER, 1) == 2:
        strips = [strip.translate(_REVERSED) for strip in strips]
    inverted = image.point(lambda value: 255 - value)
    # Which of its two colours a file calls white is not worth to be read out of it.
    return not any(_encodes_to(strips, picture, n_rows) for picture in (image, inverted))


def _encodes_to(strips: Sequence[bytes], image: Image.Image, n_rows: int) -> bool:
    for i_strip, strip in enumerate(strips):
        top = i_strip * n_rows
        part = image.crop((0, top, image.width, min(top + n_rows, image.height)))
        encoded = _encoded(part)
        if strip[: len(encoded) - _END_BYTES] != encoded[:-_END_BYTES]:
            return False
    return True


def _encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "TIFF", compression="group4", tiffinfo={_ROWS_PER_STRIP: image.height})
    data = file.getvalue()
    with Image.open(io.BytesIO(data)) as saved:
        return b"".join(_pieces(data, saved.tag_v2))
