"""The pages of a DCX file, in which fax programs keep them: a PCX file each, behind a table.

Pillow opens them with the palette that the last of them has.
"""

from __future__ import annotations

import struct

_MARK = struct.pack("<I", 0x3ADE68B1)
_MOST_PAGES = 1023  # the table has 1024 offsets, the last of which is 0
_OFFSET_BYTES = 4


def is_dcx(data: bytes) -> bool:
    return data.startswith(_MARK)


def page_offsets(data: bytes) -> list[int]:
    """Returns where the pages begin, as the table tells; the first 0 ends it."""
    n_whole = min(_MOST_PAGES, len(data) // _OFFSET_BYTES - 1)
    offsets = list(struct.unpack_from(f"<{n_whole}I", data, len(_MARK)))
    return offsets[: offsets.index(0)] if 0 in offsets else offsets


def page_at(data: bytes, offset: int) -> bytes:
    """Returns the PCX file at an offset; it ends where another begins."""
    later = [other for other in page_offsets(data) if other > offset]
    return data[offset : min(later, default=len(data))]
