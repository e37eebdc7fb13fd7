"""One page of a TIFF as a file of its own, which holds nothing of the others.

So no page costs more than it has, however long the file is, and Pillow, which knows no BigTIFF
whose numbers begin with their highest byte, is shown a classic file.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, repeat
from operator import gt

from crispvl.errors import ImageError
from crispvl.inputs.tiff import BIG_TYPES, LONG, MARKS, SHORT, Layout, layout_of

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _N_SAMPLES = 256, 257, 258, 259, 277
_ROWS_PER_STRIP, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT = 278, 284, 322, 323
_PLANES = 2  # of the second
_PLACES = {273: 279, 324: 325}  # offsets of strips and of tiles, and their sizes
_AS_THEY_ARE, _OLD_JPEG = 1, 6  # compressions; of the second, further tags lead to data
_LEAD_ELSEWHERE = (330, 34665, 34853, 40965)
"""Tags whose values are offsets of further directories."""

_ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_ITEM_BYTES |= dict.fromkeys(BIG_TYPES, 8)
"""Of a value, by its type (TIFF 6.0, section 2; 13 is of a directory)."""

_FORMS = {SHORT: "H", LONG: "I"} | dict.fromkeys(BIG_TYPES, "Q")
_HEAD_BYTES, _INLINE_BYTES = 8, 4  # of a classic file and of an entry's value


class _NotCopiedError(Exception):
    """A page cannot be taken out of its file."""


@dataclass(frozen=True)
class _Entry:
    """A tag's values, as they are in the file."""

    kind: int
    count: int
    data: bytes

    def numbers(self, order: str) -> Sequence[int]:
        if self.kind not in _FORMS:
            raise _NotCopiedError("a number is of another type")
        return struct.unpack(f"{order}{self.count}{_FORMS[self.kind]}", self.data)


def page_at(data: bytes, offset: int, where: str) -> bytes:
    """Returns a file whose first page is the one with its directory at an offset.

    That is the file itself for its first page, and where only a reader that guesses makes something
    of a page: one that breaks off, or whose sizes are wrong.

    Raises:
        ImageError: Pillow can be shown no such file.
    """
    layout = layout_of(data)
    is_known = not data.startswith(MARKS[3])
    if is_known and layout.at(layout.offset, data, layout.first)[0] == offset:
        return data
    try:
        return _own_file(data, offset, layout)
    except (_NotCopiedError, struct.error) as error:
        if not is_known:
            raise ImageError(
                f"[{where}] expected a BigTIFF of less than 4 GiB; found a larger or a damaged one "
                f"({error}); save it as another kind of TIFF"
            ) from error
    pointer = struct.pack(layout.order + layout.offset, offset)
    return b"".join((data[: layout.first], pointer, data[layout.first + len(pointer) :]))


def _own_file(data: bytes, offset: int, layout: Layout) -> bytes:
    entries = _entries(data, offset, layout)
    pieces: dict[tuple[int, int], int] = {}  # places and sizes in the one file, places in the other
    at = _HEAD_BYTES
    for offsets, sizes in _PLACES.items():
        if offsets not in entries:
            continue
        places = _places(data, entries, (offsets, sizes), layout.order)
        for place in places:
            if place not in pieces:
                pieces[place], at = at, at + place[1]
        if at > _HEAD_BYTES + len(data):
            raise _NotCopiedError("pieces overlap")
        entries[offsets] = _longs([pieces[place] for place in places], layout.order)
        entries[sizes] = _longs([size for _, size in places], layout.order)
    at += at % 2  # a directory begins at an even byte
    head = MARKS[0 if layout.order == "<" else 1] + struct.pack(f"{layout.order}I", at)
    parts = [head, *(data[begin : begin + size] for begin, size in pieces)]
    return b"".join(parts).ljust(at, b"\0") + _directory(entries, at, layout.order)


def _entries(data: bytes, offset: int, layout: Layout) -> dict[int, _Entry]:
    """Returns a directory by its tags, but for those of unknown types, and what leads elsewhere."""
    (n_entries,) = layout.at(layout.count, data, offset)
    form = layout.order + layout.entry
    at = offset + struct.calcsize(layout.order + layout.count)
    entries: dict[int, _Entry] = {}
    n_left = len(data)
    for i_entry in range(n_entries):
        tag, kind, count, inline = struct.unpack_from(
            form, data, at + i_entry * struct.calcsize(form)
        )
        if tag in _LEAD_ELSEWHERE or kind not in _ITEM_BYTES or tag in entries:
            continue
        n_bytes = count * _ITEM_BYTES[kind]
        value = inline[:n_bytes]
        if n_bytes > len(inline):
            (begin,) = struct.unpack(layout.order + layout.offset, inline)
            value = data[begin : begin + n_bytes]
        n_left -= n_bytes
        if len(value) < n_bytes or n_left < 0:
            raise _NotCopiedError("a value breaks off, or overlaps others")
        entries[tag] = _Entry(kind, count, value)
    return entries


def _places(
    data: bytes, entries: Mapping[int, _Entry], tags: tuple[int, int], order: str
) -> list[tuple[int, int]]:
    """Returns offset and size of each strip or tile, as far as the sizes are to be trusted."""
    if tags[1] not in entries:
        raise _NotCopiedError("sizes are missing")
    offsets, sizes = (entries[tag].numbers(order) for tag in tags)
    if len(offsets) != len(sizes) or 0 in sizes:
        raise _NotCopiedError("sizes are missing")
    if any(at + size > len(data) for at, size in zip(offsets, sizes, strict=True)):
        raise _NotCopiedError("it breaks off")
    compression = _first(entries, _COMPRESSION, order, _AS_THEY_ARE)
    if compression == _OLD_JPEG:
        raise _NotCopiedError("it is an old kind of JPEG")
    if compression == _AS_THEY_ARE and any(map(gt, _plain_bytes(entries, order), sizes)):
        raise _NotCopiedError("sizes are too small")
    return [*zip(offsets, sizes, strict=True)]


def _plain_bytes(entries: Mapping[int, _Entry], order: str) -> Iterator[int]:
    """Yields without end how many bytes strips or tiles have at least that are not compressed."""
    width, height, bits, n_samples, planar = (
        _first(entries, tag, order, 1) for tag in (_WIDTH, _HEIGHT, _BITS, _N_SAMPLES, _PLANAR)
    )
    across = _first(entries, _TILE_WIDTH, order, width)
    row_bytes = math.ceil(across * (1 if planar == _PLANES else n_samples) * bits / 8)
    if _TILE_HEIGHT in entries:
        yield from repeat(row_bytes * _first(entries, _TILE_HEIGHT, order, 1))
    rows = min(height, _first(entries, _ROWS_PER_STRIP, order, height)) or 1
    for i_strip in cycle(range(math.ceil(height / rows))):
        yield row_bytes * min(rows, height - i_strip * rows)


def _first(entries: Mapping[int, _Entry], tag: int, order: str, otherwise: int) -> int:
    numbers = entries[tag].numbers(order) if tag in entries else ()
    return numbers[0] if numbers else otherwise


def _longs(numbers: Sequence[int], order: str) -> _Entry:
    return _Entry(LONG, len(numbers), struct.pack(f"{order}{len(numbers)}I", *numbers))


def _directory(entries: Mapping[int, _Entry], at: int, order: str) -> bytes:
    """Returns a classic directory that is to be at an offset, with its arrays behind it."""
    packed = struct.pack(f"{order}H", len(entries))
    arrays = b""
    begin = at + len(packed) + 12 * len(entries) + 4
    for tag, entry in sorted(entries.items()):
        kind, value = entry.kind, entry.data
        if kind in BIG_TYPES:
            kind, value = LONG, _longs(entry.numbers(order), order).data
        if len(value) > _INLINE_BYTES:
            place = struct.pack(f"{order}I", begin + len(arrays))
            arrays, value = arrays + value + b"\0" * (len(value) % 2), place
        packed += struct.pack(f"{order}HHI", tag, kind, entry.count)
        packed += value.ljust(_INLINE_BYTES, b"\0")
    return packed + bytes(4) + arrays
