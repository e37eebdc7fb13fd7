"""What drawing a page of a PDF would unpack, told from the file before anything is drawn.

A few bytes can stand for gigabytes: pictures of any size that are said to be of one colour, streams
packed twice, a JPEG whose own header says more than the PDF does. qpdf takes the file apart, within
its own bounds; the sizes of pictures are only read.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Object, Stream, StreamDecodeLevel
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile

from crispvl.errors import CrispVLError, DocumentError, ImageError
from crispvl.server.packed_length import lzw_length, run_length
from crispvl.server.pdf_forms import FormLengths
from crispvl.server.pdf_structure import MAX_STREAM_BYTES, damaged, open_pdf

IMAGE_BYTES_PER_PIXEL = 8
"""Of all pictures on a page, per pixel of the largest image by itself: A3 at 600 dpi in colour is
read where A4 is. They are drawn row by row, so this bounds time more than memory."""

MAX_TEXT_BYTES = MAX_STREAM_BYTES
"""Of a page's operators, fonts, and all that is no picture, unpacked."""

MAX_OLD_BYTES = 4 << 20
"""Of operators packed in the old ways, packed: they are gone through byte by byte."""

MAX_OBJECTS = 100_000
"""That a page leads to."""

MAX_PARTS = 10_000
"""Streams that a page's operators are in, and inline images in each."""

MAX_FILTERS = 4
"""Of a stream. QPDF gives up on more of them, PDFium undoes them all."""

_MAX_PARENTS = 64

# Begins with letters, which are found fast; what is before them is looked at afterwards.
_INLINE_IMAGE = re.compile(rb"BI(?<!\SBI)(?=[\s/])(.{0,4096}?)\sID(?!\S)", re.DOTALL)
_JPEG_START = b"\xff\xd8"
_HEADED = frozenset(("/DCTDecode", "/DCT", "/JPXDecode"))
_MEASURES = {
    **dict.fromkeys(("/LZWDecode", "/LZW"), lzw_length),
    **dict.fromkeys(("/RunLengthDecode", "/RL"), run_length),
}
_GREY = "/DeviceGray", "/G", "/CalGray", "/Indexed", "/I", "/Separation"
_BANDS = {**dict.fromkeys(_GREY, 1), **dict.fromkeys(("/DeviceRGB", "/RGB", "/CalRGB", "/Lab"), 3)}
_MOST_BANDS = 4


@dataclass(frozen=True)
class _Weight:
    """Bytes that something takes when it is unpacked."""

    image: int = 0
    text: int = 0


class PdfBounds:
    """Knows of an open PDF what drawing its pages would take.

    Args:
        data: The file.
        password: Of an encrypted document.
        max_pixels: Of an image by itself.

    Raises:
        PasswordError: The file is encrypted, and the password is missing or wrong.
        DocumentError: The file cannot be taken apart, or not in reasonable time.
    """

    def __init__(self, data: bytes, password: str | None, max_pixels: int) -> None:
        self._max_image_bytes = IMAGE_BYTES_PER_PIXEL * max_pixels
        self._weights: dict[tuple[int, int], _Weight] = {}
        self._pdf = open_pdf(data, password)
        self._forms = FormLengths(_unpacked, MAX_TEXT_BYTES)

    def check(self, number: int) -> None:
        """Passes pages that can be drawn within bounds.

        Raises:
            ImageError: The pictures of this page, counted from 1, are too large.
            DocumentError: Something else of it is too large, or damaged.
        """
        try:
            page = self._pdf.pages[number - 1].obj
            operators = self._operators(page)
            image, text = _inline_bytes(operators), len(operators)
            self._hold(image, text)
            for weight in map(self._weight, _streams(page)):
                image, text = image + weight.image, text + weight.text
                self._hold(image, text)
            self._hold(image, self._forms.length(operators, _resources(page)))
        except CrispVLError:
            raise
        except (pikepdf.PdfError, IndexError, TypeError, ValueError) as error:
            raise damaged() from error

    def _operators(self, page: Object) -> bytes:
        """Returns the operators of a page; an image among them may begin in one stream and end in
        the next."""
        operators = bytearray()
        for part in _contents(page):
            operators += _unpacked(part) + b"\n"
            self._hold(0, len(operators))
        return bytes(operators)

    def _hold(self, image: int, text: int) -> None:
        if image > self._max_image_bytes:
            raise ImageError(
                f"[document] expected pictures of at most {self._max_image_bytes >> 20} MiB on a "
                "page; found larger ones; scale them down"
            )
        if text > MAX_TEXT_BYTES:
            raise _too_much()

    def _weight(self, stream: Stream) -> _Weight:
        """Weighs what several pages may share once."""
        found = self._weights.get(stream.objgen)
        if found is None:
            found = self._weights[stream.objgen] = _weigh(stream)
        return found


def _streams(page: Object) -> Iterator[Stream]:
    """Yields all streams that drawing a page may need beside its operators, each once."""
    seen: set[tuple[int, int]] = set()
    ahead: list[Any] = _drawn(page)
    n_objects = 0
    while ahead:
        one = ahead.pop()
        if not isinstance(one, (Array, Dictionary, Stream)):
            continue
        n_objects += 1
        _hold_number(n_objects, MAX_OBJECTS, "objects")
        if one.is_indirect:
            if one.objgen in seen:
                continue
            seen.add(one.objgen)
        if isinstance(one, Stream):
            yield one
        ahead.extend(one if isinstance(one, Array) else dict(one).values())


def _drawn(page: Any) -> list[Any]:
    """Returns what a page's operators are drawn with, also what its parents hold for it."""
    found = []
    annotations = page.get("/Annots")
    if isinstance(annotations, Array):
        _hold_number(len(annotations), MAX_OBJECTS, "objects")
        found += [one.get("/AP") for one in annotations if isinstance(one, Dictionary)]
    for _ in range(_MAX_PARENTS):
        if not isinstance(page, Dictionary):
            break
        found.append(page.get("/Resources"))
        page = page.get("/Parent")
    return found


def _resources(page: Any) -> Any:
    """Returns what a page's operators name, its own or the nearest parent's."""
    for _ in range(_MAX_PARENTS):
        if not isinstance(page, Dictionary) or "/Resources" in page:
            break
        page = page.get("/Parent")
    return page.get("/Resources") if isinstance(page, Dictionary) else None


def _contents(page: Object) -> list[Stream]:
    found = page.get("/Contents")
    parts = found if isinstance(found, Array) else [found]
    _hold_number(len(parts), MAX_PARTS, "streams")
    return [part for part in parts if isinstance(part, Stream)]


def _weigh(stream: Stream) -> _Weight:
    if "/Width" in stream and "/Height" in stream:
        return _Weight(image=_image_bytes(stream, *_own_size(stream)))
    data = _unpacked(stream)
    return _Weight(_inline_bytes(data), len(data))


def _inline_bytes(operators: bytes) -> int:
    """Weighs images that are written among operators."""
    _hold_number(operators.count(b"BI"), MAX_PARTS, "inline images")
    n_bytes = 0
    for entries in _INLINE_IMAGE.findall(operators):
        with suppress(pikepdf.PdfError):  # no image
            n_bytes += _image_bytes(Object.parse(b"<<" + entries + b">>"))
    return n_bytes


def _image_bytes(told: Any, width: int = 0, height: int = 0, n_bands: int = 1) -> int:
    """Returns how many bytes an image takes, by its dictionary and by its data's own header."""
    width = max(width, _number(told, "/Width", "/W"))
    height = max(height, _number(told, "/Height", "/H"))
    is_mask = told.get("/ImageMask", told.get("/IM")) is True
    n_bits = 1 if is_mask else _number(told, "/BitsPerComponent", "/BPC") or 8
    space = told.get("/ColorSpace", told.get("/CS"))
    n_bands = 1 if is_mask else max(n_bands, _n_bands(space))
    return height * ((width * n_bands * n_bits + 7) // 8)


def _n_bands(space: Any) -> int:
    """Returns how many values a pixel of a colour space has; the most where that is not simple."""
    if isinstance(space, Array) and len(space) > 1:
        if space[0] == Name.ICCBased and isinstance(space[1], Stream):
            return _number(space[1], "/N") or _MOST_BANDS
        space = space[0]
    return _BANDS.get(str(space), _MOST_BANDS)


def _number(told: Any, *names: str) -> int:
    values = (told.get(name) for name in names)
    return max((int(value) for value in values if isinstance(value, (int, Decimal))), default=0)


def _own_size(image: Stream) -> tuple[int, int, int]:
    """Returns the width, the height and the bands in a JPEG's own header; 0 without one."""
    *before, last = _filters(image) or [""]
    data = _unpacked(image, before) if before or last in _HEADED else b""
    try:
        if last == "/JPXDecode":
            with Jpeg2KImageFile(io.BytesIO(data)) as opened:
                return *opened.size, len(opened.getbands())
        if last in _HEADED:
            with JpegImageFile(io.BytesIO(data[max(0, data.find(_JPEG_START)) :])) as opened:
                return *opened.size, len(opened.getbands())
    except (OSError, SyntaxError, ValueError, TypeError):  # nor can it be drawn
        pass
    return 0, 0, 0


def _filters(stream: Stream) -> list[str]:
    found = stream.get("/Filter")
    return [str(one) for one in found] if isinstance(found, Array) else [str(found)] * bool(found)


def _unpacked(stream: Stream, filters: list[str] | None = None) -> bytes:
    """Returns a stream's data, of which only some filters are undone where they are named.

    Raises:
        DocumentError: It is more than all of a page may be.
    """
    data = stream.read_raw_bytes()
    names = _filters(stream) if filters is None else filters
    if len(names) > MAX_FILTERS:
        raise DocumentError(
            f"[document] expected at most {MAX_FILTERS} filters of a stream; found more; save it "
            "again"
        )
    for i, name in enumerate(names):
        if measure := _MEASURES.get(name):
            packed = _unpacked(stream, names[:i])
            if len(packed) > MAX_OLD_BYTES or measure(packed, MAX_TEXT_BYTES) > MAX_TEXT_BYTES:
                raise _too_much()
    with pikepdf.new() as apart:
        if filters is not None:
            stream = Stream(apart, data, Filter=Array([Name(name) for name in filters]))
        try:
            return stream.read_bytes(StreamDecodeLevel.specialized)
        except pikepdf.PdfError as error:
            if "limit" in str(error):
                raise _too_much() from error
            return _salvaged(data)


def _salvaged(data: bytes) -> bytes:
    """Returns what comes out of damaged data, which PDFium draws."""
    try:
        return zlib.decompressobj().decompress(data, MAX_TEXT_BYTES) or data
    except zlib.error:
        return data


def _too_much() -> DocumentError:
    return DocumentError(
        f"[document] expected at most {MAX_TEXT_BYTES >> 20} MiB of drawing on a page; found more; "
        "send it as a picture"
    )


def _hold_number(found: int, most: int, what: str) -> None:
    if found > most:
        raise DocumentError(
            f"[document] expected at most {most} {what} on a page; found more; send it as a picture"
        )
