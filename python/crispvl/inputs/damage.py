"""Damage within encoded pictures that decoders make a picture of all the same.

Pillow hears of neither libjpeg's nor libtiff's warnings, and PDFium of none.
"""

from __future__ import annotations

import struct
import zlib

from PIL import Image

from crispvl.inputs.damaged_data import is_damaged_jpeg, is_damaged_qoi, is_damaged_vp8
from crispvl.inputs.tiff import is_tiff
from crispvl.inputs.tiff_damage import is_damaged_tiff
from crispvl.inputs.webp import is_webp, lossy_pictures

DAMAGED = "damaged"
"""Key in the ``info`` of a picture that was made of damaged data."""

_JPEG_MARK, _PNG_MARK, _GIF_MARK, _QOI_MARK = b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF8", b"qoif"


def is_damaged(data: bytes, image: Image.Image) -> bool:
    """Returns whether a decoder found more in a picture's data than it says.

    Args:
        data: Of the whole file.
        image: Opened from it by Pillow, and decoded; the only or the first one.
    """
    if data.startswith(_JPEG_MARK):
        return is_damaged_jpeg(data)
    if data.startswith(_PNG_MARK):
        return _is_damaged_png(data)
    if data.startswith(_QOI_MARK):
        return is_damaged_qoi(data)
    if data.startswith(_GIF_MARK) or is_webp(data):
        return damaged_from(data) is not None
    return is_tiff(data) and is_damaged_tiff(data, image)


def damaged_from(data: bytes) -> int | None:
    """Returns the first frame of a GIF or WebP whose data is damaged, counted from 0.

    It may be the one behind the last frame, where a GIF breaks off. None where all are whole, and
    of other kinds of pictures.
    """
    if is_webp(data):
        pictures = enumerate(lossy_pictures(data))
        return next((i for i, coded in pictures if coded and is_damaged_vp8(coded)), None)
    if not data.startswith(_GIF_MARK):
        return None
    try:
        from crispvl._core import damaged_gif_frame
    except ImportError:  # a picture can be decoded without the core
        return None
    return damaged_gif_frame(data)


def _is_damaged_png(data: bytes) -> bool:
    """Returns whether the checksum of a chunk with pixels is wrong; Pillow looks at the others."""
    view, at = memoryview(data), len(_PNG_MARK)
    while at + 12 <= len(data):  # length, kind, body, checksum
        n_bytes, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + n_bytes
        if kind == b"IEND" or end + 4 > len(data):
            break
        if kind == b"IDAT" and zlib.crc32(view[at + 4 : end]) != _uint32(data, end):
            return True
        at = end + 4
    return False


def _uint32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
