"""Files of pages that are independent of each other, each of which is made a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from crispvl.inputs import dcx, pnm, tiff, tiff_page


def pages_of(data: bytes, where: str) -> list[Callable[[], bytes]]:
    """Returns for each page of a TIFF, DCX or PNM what makes a file with it as its first picture.

    Of other kinds, and where no page is found, there are none.

    Raises:
        ImageError: There are more pages than any document has.
    """
    if tiff.is_tiff(data):
        at = tiff.page_offsets(data, where)
        return [partial(tiff_page.page_at, data, offset, where) for offset in at]
    if dcx.is_dcx(data):
        return [partial(dcx.page_at, data, offset) for offset in dcx.page_offsets(data)]
    if pnm.is_pnm(data):
        return [partial(pnm.page_at, data, offset) for offset in pnm.page_offsets(data, where)]
    return []
