"""TIFF files that Pillow cannot write: of any samples, planes, tiles and order of bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Tiff:
    """How a file is written; what the fields mean is TIFF 6.0's.

    Attributes:
        tile_px: Side of its tiles; 0 for strips.
        rows: Of a strip; 0 for one strip.
        packed_bits: Of a sample, where they are not those of the array's type.
        tags: More of them, of type LONG.
        big: As a BigTIFF.
        coded: Compression and data of a strip, instead of the samples.
    """

    photometric: int = 1
    extra: tuple[int, ...] = ()
    planar: bool = False
    order: str = "<"
    deflate: bool = False
    predictor: int = 1
    tile_px: int = 0
    rows: int = 0
    packed_bits: int = 0
    tags: tuple[tuple[int, int], ...] = ()
    big: bool = False
    coded: tuple[int, bytes] | None = None

    def encode(self, samples: NDArray[Any]) -> bytes:
        """Returns a file of samples, ``[height, width, n_samples]``."""
        return document([(self, samples)])

    def directory(self, samples: NDArray[Any], at: int, is_last: bool) -> bytes:
        """Returns a page as it is at an offset of its file: directory, arrays and pieces."""
        height, width, n_samples = samples.shape
        pieces = [self._packed(piece) for piece in self._pieces(samples)]
        compression = 8 if self.deflate else 1
        if self.coded is not None:
            compression, pieces = self.coded[0], [self.coded[1]]
        form = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
        bits = self.packed_bits or 8 * samples.dtype.itemsize
        entries = {
            256: [width], 257: [height], 258: [bits] * n_samples, 259: [compression],
            262: [self.photometric], 277: [n_samples], 284: [2 if self.planar else 1],
            317: [self.predictor], 339: [form] * n_samples,
        }  # fmt: skip
        entries |= {tag: [value] for tag, value in self.tags}
        if self.extra:
            entries[338] = list(self.extra)
        if self.tile_px:
            entries |= {322: [self.tile_px], 323: [self.tile_px]}
            places = 324, 325
        else:
            entries[278] = [self.rows or height]
            places = 273, 279
        return self._laid_out(entries, places, pieces, at, is_last)

    def _pieces(self, samples: NDArray[Any]) -> Iterator[NDArray[Any]]:
        height, width, n_samples = samples.shape
        parts = np.split(samples, n_samples, axis=2) if self.planar else [samples]
        side = self.tile_px
        for part in parts:
            if not side:
                for y in range(0, height, self.rows or height):
                    yield part[y : y + (self.rows or height)]
                continue
            for y in range(0, height, side):
                for x in range(0, width, side):
                    cut = part[y : y + side, x : x + side]
                    beyond = (0, side - cut.shape[0]), (0, side - cut.shape[1]), (0, 0)
                    yield np.pad(cut, beyond)

    def _packed(self, piece: NDArray[Any]) -> bytes:
        height, width, n_samples = piece.shape
        size = piece.dtype.itemsize
        if self.packed_bits:
            shifts = np.arange(self.packed_bits - 1, -1, -1)
            bits = (piece.reshape(height, -1, 1) >> shifts & 1).astype(np.uint8)
            data = np.packbits(bits.reshape(height, -1), axis=1).tobytes()
        elif self.predictor == 3:  # of floats: their bytes apart, the first of all of them first
            rows = piece.astype(piece.dtype.newbyteorder(">")).view(np.uint8)
            rows = rows.reshape(height, width * n_samples, size).transpose(0, 2, 1)
            apart = rows.reshape(height, -1, n_samples)
            data = np.diff(apart, axis=1, prepend=np.uint8(0)).tobytes()
        else:
            if self.predictor == 2:
                piece = np.diff(piece, axis=1, prepend=piece.dtype.type(0))
            data = piece.astype(piece.dtype.newbyteorder(self.order)).tobytes()
        return zlib.compress(data) if self.deflate else data

    def _laid_out(
        self,
        entries: dict[int, list[int]],
        places: tuple[int, int],
        pieces: list[bytes],
        at: int,
        is_last: bool,
    ) -> bytes:
        entries |= {places[0]: [0] * len(pieces), places[1]: [len(piece) for piece in pieces]}
        count, offset, n_inline, kind = ("Q", "Q", 8, 16) if self.big else ("H", "I", 4, 4)
        n_bytes = struct.calcsize(f"={count}{offset}") + len(entries) * (4 + 2 * n_inline)
        begin = at + n_bytes  # of the arrays
        sizes = (n_inline * len(values) for values in entries.values() if len(values) > 1)
        end = begin + sum(sizes)
        for i_piece, piece in enumerate(pieces):
            entries[places[0]][i_piece] = end
            end += len(piece)
        directory, arrays = struct.pack(self.order + count, len(entries)), b""
        for tag, values in sorted(entries.items()):
            packed = struct.pack(f"{self.order}{len(values)}{offset}", *values)
            if len(values) > 1:
                start = struct.pack(self.order + offset, begin + len(arrays))
                packed, arrays = start, arrays + packed
            directory += struct.pack(f"{self.order}HH{offset}", tag, kind, len(values)) + packed
        following = struct.pack(self.order + offset, 0 if is_last else end)
        return directory + following + arrays + b"".join(pieces)


def document(pages: Sequence[tuple[Tiff, NDArray[Any]]]) -> bytes:
    """Returns a file of several pages, all in one order of bytes."""
    order = pages[0][0].order
    data = b"II" if order == "<" else b"MM"
    if pages[0][0].big:
        data += struct.pack(order + "HHHQ", 43, 8, 0, 16)
    else:
        data += struct.pack(order + "HI", 42, 8)
    for i_page, (form, samples) in enumerate(pages):
        data += form.directory(samples, len(data), i_page == len(pages) - 1)
    return data
