"""Pages of a TIFF whose samples Pillow mistakes or does not know.

These are samples of more than 8 bits, floats, planes and alpha channels. Pillow still unpacks them:
it is shown the rows as grey bytes, of which numpy then makes samples (TIFF 6.0, and its technical
note 3 on floats).
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from crispvl.errors import ImageError
from crispvl.inputs.pixels import most_pixels
from crispvl.inputs.sample_range import eight_bits, white_level
from crispvl.inputs.tiff import MARKS

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_ORIENTATION, _N_SAMPLES, _ROWS_PER_STRIP, _PLANAR, _PREDICTOR = 274, 277, 278, 284, 317
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_STRIPS, _TILES = (273, 279), (324, 325)  # offsets and sizes
_TILE_WIDTH, _TILE_HEIGHT, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 322, 323, 338, 339
_GREATEST_SAMPLE, _GREATEST_FLOAT = 281, 341

_N_COLOURS = {0: 1, 1: 1, 2: 3, 5: 4}  # of grey whose white is 0, grey, RGB and CMYK
_WHITE_IS_0, _CMYK = 0, 5
_BYTE_WISE = {1, 5, 8, 32773, 32946, 34925, 50000}  # none, LZW, deflate, PackBits, LZMA, Zstandard
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_DIFFERENCES, _FLOAT_DIFFERENCES = 2, 3
_ASSOCIATED, _UNASSOCIATED = 1, 2

_MOST_SAMPLES = 16
_MOST_BYTES_PER_PIXEL = 8  # of as many pixels as an image may have: RGB and alpha of 16 bits
_DEPTHS = {_UNSIGNED: range(1, 33), _SIGNED: (8, 16, 32), _FLOAT: (16, 32, 64)}


class TiffSamples:
    """The samples of the first page of a TIFF file.

    Args:
        data: Of the file.
        where: What the image is called in error messages.
    """

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._where = where
        self._tags = tags = first_directory(data)
        self._order: Literal["<", ">"] = "<" if data.startswith(b"I") else ">"
        self.size = _number(tags, _WIDTH, 0), _number(tags, _HEIGHT, 0)
        self._photometric = _number(tags, _PHOTOMETRIC, -1)
        self._n_samples = _number(tags, _N_SAMPLES, 1)
        bits = _numbers(tags, _BITS, 1)
        self._bits = bits[0] if len(set(bits)) == 1 else 0
        formats = set(_numbers(tags, _SAMPLE_FORMAT, _UNSIGNED))
        self._format = formats.pop() if len(formats) == 1 else 0
        self._is_planar = _number(tags, _PLANAR, 1) == 2

    @property
    def are_needed(self) -> bool:
        """Whether Pillow would mistake or refuse the page, and this class knows it."""
        n_colours = _N_COLOURS.get(self._photometric)
        compression = _number(self._tags, _COMPRESSION, 1)
        if n_colours is None or not n_colours <= self._n_samples <= _MOST_SAMPLES:
            return False
        if min(self.size) < 1:
            return False
        if compression not in _BYTE_WISE or self._bits not in _DEPTHS.get(self._format, ()):
            return False
        is_plain = self._format == _UNSIGNED and self._n_samples == n_colours
        is_plain = is_plain and self._bits in ((1, 2, 4, 8) if n_colours == 1 else (8,))
        return self._is_planar or not is_plain  # Pillow inverts no plane whose white is 0

    def picture(self) -> Image.Image:
        """Returns the page in mode ``L``, ``LA``, ``RGB`` or ``RGBA``, with its resolution."""
        samples = self._samples()
        n_colours = _N_COLOURS[self._photometric]
        colours = self._scaled(samples[..., :n_colours])
        if self._photometric == _WHITE_IS_0:
            colours = 255 - colours
        i_alpha, is_associated = self._alpha(n_colours)
        alpha = None
        if i_alpha is not None:
            alpha = self._scaled(samples[..., i_alpha])
            if is_associated:
                colours = _divided(colours, alpha)
        picture = Image.fromarray(colours[..., 0] if n_colours == 1 else colours, _MODES[n_colours])
        if self._photometric == _CMYK:
            picture = picture.convert("RGB")
        if alpha is not None:
            picture.putalpha(Image.fromarray(alpha))
        self._tell(picture)
        return picture

    def _scaled(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        depth = self._bits - (self._format == _SIGNED)
        tag = _GREATEST_FLOAT if self._format == _FLOAT else _GREATEST_SAMPLE
        if depth < 8:
            return eight_bits(values, 2**depth - 1)
        white = white_level(values, depth, self._where, self._tags.get(tag))
        return eight_bits(values, white)

    def _alpha(self, n_colours: int) -> tuple[int | None, bool]:
        """Returns which sample is the alpha, and whether colours were multiplied by it."""
        if self._n_samples == n_colours:
            return None, False
        extra = _numbers(self._tags, _EXTRA_SAMPLES, _UNASSOCIATED)
        for i_extra, kind in enumerate(extra[: self._n_samples - n_colours]):
            if kind in (_ASSOCIATED, _UNASSOCIATED):
                return n_colours + i_extra, kind == _ASSOCIATED
        return None, False

    def _tell(self, picture: Image.Image) -> None:
        """Notes in a picture what the file says of its resolution and orientation."""
        picture.getexif()[_ORIENTATION] = _number(self._tags, _ORIENTATION, 1)
        x, y = self._tags.get(_X_RESOLUTION), self._tags.get(_Y_RESOLUTION)
        if not x or not y:
            return
        scale = {2: 1.0, 3: 2.54}.get(_number(self._tags, _RESOLUTION_UNIT, 2))
        if scale is None:
            picture.info["resolution"] = x, y
        else:
            picture.info["dpi"] = float(x) * scale, float(y) * scale

    def _samples(self) -> NDArray[Any]:
        """Returns the samples, ``[height, width, n_samples]``."""
        most_bytes = _MOST_BYTES_PER_PIXEL * most_pixels()
        if math.prod(self.size) * self._n_samples * self._bits > 8 * most_bytes:
            raise ImageError(
                f"[{self._where}] expected samples of at most {most_bytes} bytes; found more; "
                "scale the image down"
            )
        if not self._is_planar:
            return self._plane(self._n_samples, slice(None))
        offsets = _numbers(self._tags, self._places[0], 0)
        n_pieces = len(offsets) // self._n_samples
        planes = [
            self._plane(1, slice(i * n_pieces, (i + 1) * n_pieces)) for i in range(self._n_samples)
        ]
        return np.concatenate(planes, axis=2)

    @property
    def _places(self) -> tuple[int, int]:
        return _TILES if _TILES[0] in self._tags else _STRIPS

    def _plane(self, n_samples: int, pieces: slice) -> NDArray[Any]:
        """Returns samples that are stored together, ``[height, width, n_samples]``."""
        width = piece_width = self.size[0]
        if self._places == _TILES:
            piece_width = max(1, _number(self._tags, _TILE_WIDTH, width))
        n_across = math.ceil(width / piece_width)
        row_bytes = math.ceil(piece_width * n_samples * self._bits / 8)
        rows = self._rows(row_bytes, n_across, pieces)
        parts = [
            self._unpacked(rows[:, i * row_bytes : (i + 1) * row_bytes], piece_width, n_samples)
            for i in range(n_across)
        ]
        return np.concatenate(parts, axis=1)[:, :width]

    def _rows(self, row_bytes: int, n_across: int, pieces: slice) -> NDArray[np.uint8]:
        """Returns the bytes of all rows, unpacked by Pillow, ``[height, n_across * row_bytes]``."""
        tags, width, height = self._tags, n_across * row_bytes, self.size[1]
        entries = {
            _WIDTH: [width], _HEIGHT: [height], _BITS: [8], _PHOTOMETRIC: [1],
            _COMPRESSION: [_number(tags, _COMPRESSION, 1)],
            _FILL_ORDER: [_number(tags, _FILL_ORDER, 1)],
        }  # fmt: skip
        if self._places == _TILES:
            entries[_TILE_WIDTH] = [row_bytes]
            entries[_TILE_HEIGHT] = [_number(tags, _TILE_HEIGHT, height)]
        else:
            entries[_ROWS_PER_STRIP] = [min(height, _number(tags, _ROWS_PER_STRIP, 2**32))]
        offsets = _numbers(tags, self._places[0], 0)
        sizes = _numbers(tags, self._places[1], len(self._data))
        most_bytes = len(self._data) + 2 * width * height
        if self._places[0] not in tags or len(sizes) != len(offsets) or sum(sizes) > most_bytes:
            raise ImageError(
                f"[{self._where}] expected a TIFF with a size for each strip; found "
                f"{len(offsets)} offsets and {len(sizes)} sizes; save it again"
            )
        places = list(zip(offsets, sizes, strict=True))[pieces]
        found = [self._data[at : at + size] for at, size in places]
        with _Rows(io.BytesIO(_file(entries, self._places, found))) as image:
            return np.array(image)

    def _unpacked(self, rows: NDArray[np.uint8], width: int, n_samples: int) -> NDArray[Any]:
        """Returns the samples of a strip's or a tile's rows, ``[height, width, n_samples]``."""
        predictor = _number(self._tags, _PREDICTOR, 1)
        shape = len(rows), width, n_samples
        if self._bits % 8 or self._bits == 24:
            if predictor != 1:
                raise ImageError(
                    f"[{self._where}] expected samples of 8, 16 or 32 bits with a predictor; "
                    f"found {self._bits}; save it without a predictor"
                )
            return np.concatenate(list(self._odd(rows, width * n_samples))).reshape(shape)
        kind = {_UNSIGNED: "u", _SIGNED: "i", _FLOAT: "f"}[self._format]
        form = np.dtype(f"{kind}{self._bits // 8}")
        if predictor == _FLOAT_DIFFERENCES:
            # Differences of bytes, the most significant ones of all samples first.
            rows = np.cumsum(
                rows.reshape(len(rows), -1, n_samples), axis=1, dtype=np.uint8
            ).reshape(len(rows), self._bits // 8, -1)
            rows = np.ascontiguousarray(rows.transpose(0, 2, 1)).reshape(len(rows), -1)
            floats: NDArray[Any] = rows.view(form.newbyteorder(">")).astype(form)
            return floats.reshape(shape)
        values: NDArray[Any] = np.ascontiguousarray(rows).view(form.newbyteorder(self._order))
        values = values.astype(form).reshape(shape)
        if predictor == _DIFFERENCES:
            np.cumsum(values, axis=1, dtype=form, out=values)
        return values

    def _odd(self, rows: NDArray[np.uint8], n_values: int) -> Iterator[NDArray[np.uint32]]:
        """Yields the rows' values, of which a byte holds no whole number; high bits come first."""
        if self._bits == 24:
            for row in rows:
                high, middle, low = row.reshape(-1, 3).T.astype(np.uint32)[:: self._step]
                yield high << 16 | middle << 8 | low
            return
        weights = 2 ** np.arange(self._bits - 1, -1, -1, dtype=np.uint32)
        for row in rows:
            bits = np.unpackbits(row)[: n_values * self._bits]
            yield bits.reshape(-1, self._bits) @ weights

    @property
    def _step(self) -> int:
        return -1 if self._order == "<" else 1


class _Rows(TiffImageFile):
    """Rows of bytes, which Pillow would count as pixels; the page's are counted before."""

    load_prepare = ImageFile.ImageFile.load_prepare


_MODES = {1: "L", 3: "RGB", 4: "CMYK"}  # by the number of colours


def first_directory(data: bytes) -> ImageFileDirectory_v2:
    is_big = b"+" in data[2:4]
    tags: Any = ImageFileDirectory_v2(data[: 16 if is_big else 8])
    file = io.BytesIO(data)
    file.seek(tags.next)
    tags.load(file)
    return tags  # type: ignore[no-any-return]


def _numbers(tags: Any, tag: int, otherwise: int) -> Sequence[int]:
    value = tags.get(tag, otherwise)
    values = value if isinstance(value, tuple) else (value,)
    return values if all(isinstance(n, int) for n in values) and values else (otherwise,)


def _number(tags: Any, tag: int, otherwise: int) -> int:
    return _numbers(tags, tag, otherwise)[0]


def _file(entries: dict[int, list[int]], places: tuple[int, int], pieces: list[bytes]) -> bytes:
    """Returns a TIFF of one page of grey bytes, whose strips or tiles are given."""
    n_pieces = len(pieces)
    entries = {**entries, places[0]: [0] * n_pieces, places[1]: [len(piece) for piece in pieces]}
    begin = 8 + 2 + 12 * len(entries) + 4  # of the arrays, after mark, directory and its end
    at = begin + sum(4 * len(values) for values in entries.values() if len(values) > 1)
    entries[places[0]] = [at + n for n in _starts(pieces)]
    directory, arrays = struct.pack("<H", len(entries)), b""
    for tag, values in sorted(entries.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            packed, arrays = struct.pack("<I", begin + len(arrays)), arrays + packed
        directory += struct.pack("<HHI", tag, 4, len(values)) + packed
    return MARKS[0] + struct.pack("<I", 8) + directory + bytes(4) + arrays + b"".join(pieces)


def _starts(pieces: list[bytes]) -> Iterator[int]:
    at = 0
    for piece in pieces:
        yield at
        at += len(piece)


def _divided(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns colours as they were before they were multiplied by their alpha."""
    divisor = np.maximum(alpha, 1).astype(np.uint16)[..., None]
    divided: NDArray[np.uint16] = (colours * np.uint16(255) + divisor // 2) // divisor
    return divided.clip(0, 255).astype(np.uint8)
