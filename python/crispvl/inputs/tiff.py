"""The pages of a TIFF file, found without looking at their pixels."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crispvl.errors import ImageError

MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_WIDTH, _NEW_SUBFILE_TYPE, _SUBFILE_TYPE = 256, 254, 255  # tags
_REDUCED, _MASK = 1, 4  # bits of the second
_OLD_REDUCED = 2  # value of the third
SHORT, LONG = 3, 4  # types of values of two and of four bytes
BIG_TYPES = (16, 17, 18)
"""BigTIFF's, of eight bytes; of these, offsets and sizes are the ones that occur."""

_MOST_DIRECTORIES = 100_000
"""Of a file; more of them overlap each other to keep a reader busy."""


@dataclass(frozen=True)
class Layout:
    """How a kind of TIFF is written: the classic one, or BigTIFF."""

    order: str
    first: int  # byte at which the offset of the first directory is
    offset: str  # of a directory
    count: str  # of its entries
    entry: str  # tag, type, count and the bytes of the value

    def at(self, form: str, data: bytes, at: int) -> tuple[int, ...]:
        if at > len(data):
            raise struct.error("an offset is beyond the end")
        return struct.unpack_from(self.order + form, data, at)


def is_tiff(data: bytes) -> bool:
    return data.startswith(MARKS)


def page_offsets(data: bytes, where: str) -> list[int]:
    """Returns where the directories of the pages are: smaller copies and masks are none.

    Raises:
        ImageError: There are more directories than any document has.
    """
    offsets: list[int] = []
    others: list[int] = []
    for n_directories, (offset, tags) in enumerate(_directories(data)):
        if n_directories == _MOST_DIRECTORIES:
            raise ImageError(
                f"[{where}] expected at most {_MOST_DIRECTORIES} pictures; found more; split it"
            )
        (offsets if _is_page(tags) else others).append(offset)
    return offsets or others


def layout_of(data: bytes) -> Layout:
    order = "<" if data.startswith(b"I") else ">"
    if b"+" in data[2:4]:
        return Layout(order, 8, "Q", "Q", "HHQ8s")
    return Layout(order, 4, "I", "H", "HHI4s")


def _directories(data: bytes) -> Iterator[tuple[int, Mapping[int, int]]]:
    """Yields the offset of each directory of pictures, and those of its tags that have one value.

    What breaks off ends there.
    """
    layout = layout_of(data)
    form, n_bytes = layout.order + layout.entry, struct.calcsize("<" + layout.entry)
    seen: set[int] = set()
    at = layout.first
    try:
        while (offset := layout.at(layout.offset, data, at)[0]) and offset not in seen:
            seen.add(offset)
            (n_entries,) = layout.at(layout.count, data, offset)
            begin = offset + struct.calcsize("<" + layout.count)
            at = begin + n_bytes * n_entries
            if at > len(data):
                return
            tags = {}
            for tag, kind, count, value in struct.iter_unpack(form, data[begin:at]):
                if count == 1:
                    of = "H" if kind == SHORT else layout.offset if kind in BIG_TYPES else "I"
                    tags[tag] = struct.unpack_from(layout.order + of, value)[0]
            if _WIDTH in tags:
                yield offset, tags
    except struct.error:
        return


def _is_page(tags: Mapping[int, int]) -> bool:
    kind, old_kind = tags.get(_NEW_SUBFILE_TYPE, 0), tags.get(_SUBFILE_TYPE, 0)
    return not kind & (_REDUCED | _MASK) and old_kind != _OLD_REDUCED
