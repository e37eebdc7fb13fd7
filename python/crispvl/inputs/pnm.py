"""The pictures of a PNM file: several may follow each other, as pdftoppm writes pages."""

from __future__ import annotations

import re

from crispvl.errors import ImageError

_MOST_PICTURES = 100_000
_GAP = rb"(?:\s|#[^\r\n]*[\r\n]){1,1000}"  # bounded, since each repetition costs memory
_HEAD = re.compile(
    rb"P(?:(?P<bits>4)|(?P<grey>5)|6)%(gap)s(?P<width>\d{1,9})%(gap)s(?P<height>\d{1,9})"
    rb"(?(bits)|%(gap)s(?P<white>\d{1,5}))\s" % {b"gap": _GAP}
)
_NEXT = re.compile(rb"\s*(?=P[456]\s)")  # Netpbm lets white space be between them


def is_pnm(data: bytes) -> bool:
    return data[:2] in (b"P4", b"P5", b"P6")


def page_offsets(data: bytes, where: str) -> list[int]:
    """Returns where the pictures begin.

    Raises:
        ImageError: There are more than any document has.
    """
    offsets: list[int] = []
    begin: re.Match[bytes] | None = _NEXT.match(data)
    while begin and (head := _HEAD.match(data, begin.end())):
        if len(offsets) == _MOST_PICTURES:
            raise ImageError(
                f"[{where}] expected at most {_MOST_PICTURES} pictures; found more; split it"
            )
        offsets.append(begin.end())
        begin = _NEXT.match(data, head.end() + _raster_bytes(head))
    return offsets


def page_at(data: bytes, offset: int) -> bytes:
    """Returns the picture at an offset, as a file of its own."""
    head = _HEAD.match(data, offset)
    assert head is not None  # which is what an offset was found by
    return data[offset : head.end() + _raster_bytes(head)]


def _raster_bytes(head: re.Match[bytes]) -> int:
    width, height = int(head["width"]), int(head["height"])
    if head["bits"]:
        return (width + 7) // 8 * height
    n_samples = width * height * (1 if head["grey"] else 3)
    return n_samples * (1 if int(head["white"]) < 256 else 2)
