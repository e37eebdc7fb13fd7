"""Damage within the strips and tiles of a TIFF."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from crispvl.inputs.damaged_data import (
    GROUP_3,
    GROUP_4,
    ROWS,
    count_deflated,
    count_lzw,
    count_packbits,
    fax_agrees,
    is_damaged_jpeg,
)
from crispvl.inputs.tiff_samples import first_directory

_LZW, _JPEG, _DEFLATE, _PACKBITS = 5, 7, (8, 32946), 32773  # compressions
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_N_SAMPLES, _ROWS_PER_STRIP, _PLANAR, _GROUP_3_OPTIONS, _JPEG_TABLES = 277, 278, 284, 292, 347
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_STRIPS, _TILES = (273, 279), (324, 325)  # offsets and sizes
_YCBCR = 6
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def is_damaged_tiff(data: bytes, image: Image.Image) -> bool:
    """Returns whether the data of a file's first page is damaged.

    Args:
        data: Of the whole file.
        image: Opened from it by Pillow, and decoded.
    """
    tags: Any = first_directory(data)
    compression = tags.get(_COMPRESSION)
    if compression == _JPEG:
        tables = bytes(tags.get(_JPEG_TABLES, b"\xff\xd8\xff\xd9"))
        return any(is_damaged_jpeg(tables[:-2] + piece[2:]) for piece in _pieces(data, tags))
    if compression in (_LZW, _PACKBITS, *_DEFLATE):
        return _holds_too_little_or_much(data, tags)
    is_fax = compression in (ROWS, GROUP_3, GROUP_4) and image.mode == "1"
    return is_fax and _STRIPS[0] in tags and _has_damaged_strips(data, image, tags)


def _holds_too_little_or_much(data: bytes, tags: Any) -> bool:
    if tags.get(_PHOTOMETRIC) == _YCBCR:  # there may be less of the colours
        return False
    sizes = _unpacked_bytes(tags)
    for i_piece, piece in enumerate(_pieces(data, tags)):
        wanted = sizes[i_piece % len(sizes)]
        most = max(sizes[0], wanted)
        if tags[_COMPRESSION] == _PACKBITS:
            n_bytes: int | None = count_packbits(piece, most)
        elif tags[_COMPRESSION] in _DEFLATE:
            n_bytes = count_deflated(piece, most)
        elif _is_old_lzw(piece):
            continue
        else:
            n_bytes = count_lzw(piece, most)
        if n_bytes not in (wanted, most):  # some writers fill up the last strip
            return True
    return False


def _is_old_lzw(piece: bytes) -> bool:
    """Returns whether codes begin with their lowest bit, as libtiff wrote them before TIFF 5."""
    return len(piece) > 1 and piece[0] == 0 and bool(piece[1] & 1)


def _unpacked_bytes(tags: Any) -> Sequence[int]:
    """Returns the sizes of a plane's strips or tiles once they are unpacked."""
    bits = tags.get(_BITS, (1,))
    n_samples = 1 if tags.get(_PLANAR, 1) == 2 else tags.get(_N_SAMPLES, 1)
    width, height = tags[_WIDTH], tags[_HEIGHT]
    if _TILES[0] in tags:
        across, down = tags[_TILE_WIDTH], tags[_TILE_HEIGHT]
        n_tiles = math.ceil(width / across) * math.ceil(height / down)
        return [math.ceil(across * n_samples * bits[0] / 8) * down] * n_tiles
    row_bytes = math.ceil(width * n_samples * bits[0] / 8)
    rows = min(height, tags.get(_ROWS_PER_STRIP, height))
    return [row_bytes * min(rows, height - y) for y in range(0, height, rows)]


def _pieces(data: bytes, tags: Any) -> Iterator[bytes]:
    """Yields the strips or tiles of a page as they are in the file, high bits first."""
    is_reversed = tags.get(_FILL_ORDER, 1) == 2 and tags.get(_COMPRESSION) != _JPEG
    for places, sizes in (_STRIPS, _TILES):
        for at, n_bytes in zip(tags.get(places, ()), tags.get(sizes, ()), strict=False):
            piece = data[at : at + n_bytes]
            yield piece.translate(_REVERSED) if is_reversed else piece


def _has_damaged_strips(data: bytes, image: Image.Image, tags: Any) -> bool:
    is_black = ~np.asarray(image)
    n_rows = min(tags.get(_ROWS_PER_STRIP, image.height), image.height)
    for i_strip, strip in enumerate(_pieces(data, tags)):
        rows = is_black[i_strip * n_rows : (i_strip + 1) * n_rows]
        if not fax_agrees(strip, rows, tags[_COMPRESSION], tags.get(_GROUP_3_OPTIONS, 0)):
            return True
    return False
