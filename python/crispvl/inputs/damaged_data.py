"""Coded data that a decoder makes pixels of although it is damaged, one coding each.

The codes of a JPEG and of VP8 are gone through by the core, rows of black and white are encoded
again as ITU-T T.4 and T.6 lay it down bit by bit, deflated data is asked for its checksum. LZW and
PackBits have none: of these it is counted how much they hold, which damage mostly changes.
"""

from __future__ import annotations

import math
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

ROWS, GROUP_3, GROUP_4 = 2, 3, 4  # TIFF's compressions of black and white

_TWO_DIMENSIONS, _UNCOMPRESSED = 1, 2  # bits of TIFF's T4Options
_PIECE_BYTES = 1 << 20  # unpacked at a time
_END_OF_RUNS = 128
_QOI_HEAD_BYTES, _QOI_END = 14, bytes(7) + b"\1"
_QOI_LUMA, _QOI_RUN, _QOI_RGB = 2, 3, 0xFE  # two bits of a code each, and a code of its own
_QOI_COLOUR_BYTES = {_QOI_RGB: 4, 0xFF: 5}
_LEAST_SEGMENT, _UNKNOWN_LENGTH = 11, 0xFFFF_FFFF  # of JBIG2


def is_damaged_jpeg(data: bytes) -> bool:
    try:
        from crispvl._core import jpeg_is_damaged
    except ImportError:  # a picture can be decoded without the core
        return False
    return jpeg_is_damaged(data)


def is_damaged_vp8(data: bytes) -> bool:
    """Returns whether a key frame of VP8, as in a lossy WebP, is damaged."""
    try:
        from crispvl._core import vp8_is_damaged
    except ImportError:  # a picture can be decoded without the core
        return False
    return vp8_is_damaged(data)


def is_damaged_qoi(data: bytes) -> bool:
    """Returns whether the codes of a QOI end before or after its pixels, or its end is missing."""
    n_pixels, at = math.prod(struct.unpack_from(">II", data, 4)), _QOI_HEAD_BYTES
    end = data.rfind(_QOI_END)
    while at < end and n_pixels > 0:
        code = data[at]
        at += _QOI_COLOUR_BYTES.get(code) or (2 if code >> 6 == _QOI_LUMA else 1)
        n_pixels -= (code & 0x3F) + 1 if code >> 6 == _QOI_RUN and code < _QOI_RGB else 1
    return at != end or n_pixels != 0


def count_deflated(data: bytes, most: int) -> int | None:
    """Returns how many bytes deflated data holds (RFC 1950), as `count_lzw` does."""
    stream = zlib.decompressobj()
    n_bytes = 0
    try:
        while data and not stream.eof and n_bytes <= most:
            n_bytes += len(stream.decompress(data, _PIECE_BYTES))
            data = stream.unconsumed_tail
    except zlib.error:
        return None
    return n_bytes


def count_lzw(data: bytes, most: int, widens_early: bool = True) -> int | None:
    """Returns how many bytes LZW data holds, up to more than ``most``; None if it is damaged.

    Args:
        data: Whose codes begin with their highest bit, as in TIFF and PDF.
        most: Bytes after which nobody counts.
        widens_early: Codes are a bit longer one code earlier, as they always are in TIFF.
    """
    try:
        from crispvl._core import count_lzw_values
    except ImportError:  # a picture can be decoded without the core
        return most
    return count_lzw_values(data, widens_early, most)


def count_packbits(data: bytes, most: int) -> int:
    """Returns how many bytes PackBits data holds, up to more than ``most``."""
    n_bytes = at = 0
    while at < len(data) and n_bytes <= most and data[at] != _END_OF_RUNS:
        head = data[at]
        at += 1
        if head < _END_OF_RUNS:
            n_bytes += min(head + 1, len(data) - at)
            at += head + 1
        else:
            n_bytes += 257 - head if at < len(data) else 0
            at += 1
    return n_bytes


def jbig2_breaks_off(data: bytes) -> bool:
    """Returns whether the last of the segments is not all there (ITU-T T.88, 7.2)."""
    at = 0
    while at + _LEAST_SEGMENT <= len(data):
        number, flags, referred = struct.unpack_from(">IBB", data, at)
        n_referred = referred >> 5
        at += 6
        if n_referred == 7:  # more than four: their number has four bytes, and a bit for each
            n_referred = struct.unpack_from(">I", data, at - 1)[0] & 0x1FFF_FFFF
            at += 3 + (n_referred + 8) // 8
        at += n_referred * (1 if number <= 256 else 2 if number <= 65536 else 4)
        at += 4 if flags & 0x40 else 1  # the page
        if at + 4 > len(data):
            return True
        (n_bytes,) = struct.unpack_from(">I", data, at)
        if n_bytes == _UNKNOWN_LENGTH:
            return False
        at += 4 + n_bytes
    return at > len(data) or bool(data[at:].strip(b"\0\r\n "))


def fax_agrees(
    data: bytes, is_black: NDArray[np.bool_], compression: int, options: int = 0
) -> bool:
    """Returns whether data is what rows are encoded to; which colour is called white is not asked.

    Args:
        data: Of a strip.
        is_black: Its pixels, ``[height, width]``.
        compression: 2, 3 or 4, as in a TIFF.
        options: TIFF's T4Options.
    """
    try:
        from crispvl._core import FaxGroup
        from crispvl._core import fax_agrees as agrees
    except ImportError:  # a picture can be decoded without the core
        return True
    if options & _UNCOMPRESSED:
        return True
    group = {ROWS: FaxGroup.ROWS, GROUP_3: FaxGroup.GROUP_3, GROUP_4: FaxGroup.GROUP_4}
    is_mixed = compression == GROUP_3 and bool(options & _TWO_DIMENSIONS)
    return any(
        agrees(data, np.ascontiguousarray(rows), group[compression], is_mixed, compression == ROWS)
        for rows in (is_black, ~is_black)
    )
