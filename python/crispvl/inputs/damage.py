"""Damage within encoded pictures that decoders make a picture of all the same.

Pillow hears of neither libjpeg's nor libtiff's warnings, and PDFium of none. So the codes of a JPEG
are gone through by the core, rows of black and white are encoded again as ITU-T T.4 and T.6 lay it
down bit by bit, and deflated data and PNGs are asked for their checksums.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crispvl.inputs.tiff import is_tiff
from crispvl.inputs.tiff_samples import first_directory

DAMAGED = "damaged"
"""Key in the ``info`` of a picture that was made of damaged data."""

_JPEG_MARK, _PNG_MARK = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_ROWS, _GROUP_3, _GROUP_4, _JPEG, _DEFLATE = 2, 3, 4, 7, (8, 32946)  # TIFF's compressions
_COMPRESSION, _FILL_ORDER, _ROWS_PER_STRIP, _GROUP_3_OPTIONS, _JPEG_TABLES = 259, 266, 278, 292, 347
_TWO_DIMENSIONS, _UNCOMPRESSED = 1, 2  # bits of the fourth
_PIECE_BYTES = 1 << 20  # unpacked at a time
_PIECES = ((273, 279), (324, 325))  # tags of places and sizes of strips, and of tiles
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def is_damaged(data: bytes, image: Image.Image) -> bool:
    """Returns whether a decoder found more in a picture's data than it says.

    Args:
        data: Of the whole file.
        image: Opened from it by Pillow, and decoded.
    """
    if data.startswith(_JPEG_MARK):
        return is_damaged_jpeg(data)
    if data.startswith(_PNG_MARK):
        return _is_damaged_png(data)
    if not is_tiff(data):
        return False
    tags: Any = first_directory(data)
    compression = tags.get(_COMPRESSION)
    if compression == _JPEG:
        tables = bytes(tags.get(_JPEG_TABLES, _JPEG_MARK + b"\xff\xd9"))
        return any(is_damaged_jpeg(tables[:-2] + piece[2:]) for piece in _pieces(data, tags))
    if compression in _DEFLATE:
        return any(is_damaged_deflate(piece) for piece in _pieces(data, tags))
    is_fax = compression in (_ROWS, _GROUP_3, _GROUP_4) and image.mode == "1"
    return is_fax and _PIECES[0][0] in tags and _has_damaged_strips(data, image, tags)


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


def is_damaged_jpeg(data: bytes) -> bool:
    try:
        from crispvl._core import jpeg_is_damaged
    except ImportError:  # a picture can be decoded without the core
        return False
    return jpeg_is_damaged(data)


def is_damaged_deflate(data: bytes, needed: int = 0) -> bool:
    """Returns whether data (RFC 1950) is none, or ends before it holds as many bytes as needed.

    What it holds beyond them is not drawn, and not looked at; needed may be unknown, 0.
    """
    stream = zlib.decompressobj()
    n_bytes = 0
    try:
        while data and not stream.eof and not 0 < needed < n_bytes:
            n_bytes += len(stream.decompress(data, _PIECE_BYTES))
            data = stream.unconsumed_tail
    except zlib.error:
        return True
    return not stream.eof and n_bytes < needed


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
    group = {_ROWS: FaxGroup.ROWS, _GROUP_3: FaxGroup.GROUP_3, _GROUP_4: FaxGroup.GROUP_4}
    is_mixed = compression == _GROUP_3 and bool(options & _TWO_DIMENSIONS)
    return any(
        agrees(data, np.ascontiguousarray(rows), group[compression], is_mixed, compression == _ROWS)
        for rows in (is_black, ~is_black)
    )


def _pieces(data: bytes, tags: Any) -> Iterator[bytes]:
    """Yields the strips or tiles of a TIFF's page as they are in the file."""
    for places, sizes in _PIECES:
        for at, n_bytes in zip(tags.get(places, ()), tags.get(sizes, ()), strict=False):
            yield data[at : at + n_bytes]


def _has_damaged_strips(data: bytes, image: Image.Image, tags: Any) -> bool:
    is_black = ~np.asarray(image)
    n_rows = min(tags.get(_ROWS_PER_STRIP, image.height), image.height)
    is_reversed = tags.get(_FILL_ORDER, 1) == 2
    for i_strip, strip in enumerate(_pieces(data, tags)):
        rows = is_black[i_strip * n_rows : (i_strip + 1) * n_rows]
        strip = strip.translate(_REVERSED) if is_reversed else strip
        if not fax_agrees(strip, rows, tags[_COMPRESSION], tags.get(_GROUP_3_OPTIONS, 0)):
            return True
    return False
