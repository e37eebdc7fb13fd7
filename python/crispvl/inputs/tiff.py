"""The pages of a TIFF file, found without looking at their pixels.

Pillow knows no BigTIFF whose numbers begin with their highest byte; it is shown a classic file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crispvl.errors import ImageError

MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_CLASSIC_BIG_ENDIAN, _BIG_BIG_ENDIAN = MARKS[1], MARKS[3]

_WIDTH, _NEW_SUBFILE_TYPE, _SUBFILE_TYPE = 256, 254, 255  # tags
_REDUCED, _MASK = 1, 4  # bits of the second
_OLD_REDUCED = 2  # value of the third
_SHORT, _LONG = 3, 4  # types of values of two and of four bytes
_ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Of a value, by its type (TIFF 6.0, section 2)."""
_BIG_ITEMS = (16, 17, 18)
"""BigTIFF's types, of eight bytes; of these, offsets and sizes are the ones that occur."""
_LEAD_ELSEWHERE = (330, 34665, 34853, 40965)
"""Tags whose values are offsets of further directories."""

_MOST_DIRECTORIES = 100_000
"""Of a file; more of them overlap each other to keep a reader busy."""


@dataclass(frozen=True)
class _Layout:
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


def with_first(data: bytes, offset: int, where: str) -> bytes:
    """Returns a file that Pillow reads and whose first directory is the one at an offset.

    Raises:
        ImageError: Pillow can be shown no such file.
    """
    layout = _layout(data)
    if data.startswith(_BIG_BIG_ENDIAN):
        return _classic(data, offset, where)
    if layout.at(layout.offset, data, layout.first)[0] == offset:
        return data
    pointer = struct.pack(layout.order + layout.offset, offset)
    return data[: layout.first] + pointer + data[layout.first + len(pointer) :]


def _classic(data: bytes, offset: int, where: str) -> bytes:
    """Returns a file of the classic kind with a page of a BigTIFF: the data with a directory."""
    try:
        entries = [*_classic_entries(data, offset)]
        at = len(data)
        arrays = b"".join(value for *_, value in entries if len(value) > 4)
        directory = struct.pack(">H", len(entries))
        for tag, kind, count, value in entries:
            if len(value) > 4:
                value, at = struct.pack(">I", at), at + len(value)
            directory += struct.pack(">HHI", tag, kind, count) + value.ljust(4, b"\0")
        head = _CLASSIC_BIG_ENDIAN + struct.pack(">I", at)
    except (struct.error, KeyError) as error:
        raise ImageError(
            f"[{where}] expected a BigTIFF of less than 4 GiB; found a larger or a damaged one "
            f"({error}); save it as another kind of TIFF"
        ) from error
    return head + data[len(head) :] + arrays + directory + bytes(4)


def _classic_entries(data: bytes, offset: int) -> Iterator[tuple[int, int, int, bytes]]:
    """Yields tag, type, count and value of a directory's entries, as a classic file has them."""
    layout = _layout(data)
    (n_entries,) = layout.at(layout.count, data, offset)
    begin, form = offset + 8, layout.order + layout.entry
    n_left = len(data)
    for i_entry in range(n_entries):
        at = begin + i_entry * struct.calcsize(form)
        tag, kind, count, inline = struct.unpack_from(form, data, at)
        n_bytes = count * (8 if kind in _BIG_ITEMS else _ITEM_BYTES[kind])
        (start,) = struct.unpack(">Q", inline)
        value = inline[:n_bytes] if n_bytes <= 8 else data[start : start + n_bytes]
        n_left -= n_bytes
        if len(value) < n_bytes or n_left < 0:
            raise struct.error("a value breaks off, or overlaps others")
        if kind in _BIG_ITEMS:
            kind, value = _LONG, struct.pack(f">{count}I", *struct.unpack(f">{count}Q", value))
        if tag not in _LEAD_ELSEWHERE:
            yield tag, kind, count, value


def _layout(data: bytes) -> _Layout:
    order = "<" if data.startswith(b"I") else ">"
    if b"+" in data[2:4]:
        return _Layout(order, 8, "Q", "Q", "HHQ8s")
    return _Layout(order, 4, "I", "H", "HHI4s")


def _directories(data: bytes) -> Iterator[tuple[int, Mapping[int, int]]]:
    """Yields the offset of each directory of pictures, and those of its tags that have one value.

    What breaks off ends there.
    """
    layout = _layout(data)
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
                    of = "H" if kind == _SHORT else layout.offset if kind in _BIG_ITEMS else "I"
                    tags[tag] = struct.unpack_from(layout.order + of, value)[0]
            if _WIDTH in tags:
                yield offset, tags
    except struct.error:
        return


def _is_page(tags: Mapping[int, int]) -> bool:
    kind, old_kind = tags.get(_NEW_SUBFILE_TYPE, 0), tags.get(_SUBFILE_TYPE, 0)
    return not kind & (_REDUCED | _MASK) and old_kind != _OLD_REDUCED
