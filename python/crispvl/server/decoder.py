"""The process that decodes what strangers send: ``python -m crispvl.server.decoder``.

It decodes apart from the server, within bounds of memory and with few decoders, so that a file that
breaks one ends only this process. It speaks over its standard streams: each message is a line of
JSON, whose ``n_bytes`` bytes follow.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any, BinaryIO

from PIL import Image

from crispvl.errors import CrispVLError, DocumentError, ImageError
from crispvl.extras import EXTRAS
from crispvl.inputs.damage import DAMAGED
from crispvl.inputs.decoding import is_heif
from crispvl.inputs.sources import Source, is_pdf, open_source
from crispvl.options import InputOptions
from crispvl.server.pdf_bounds import PdfBounds
from crispvl.server.process_limits import (
    BYTES_PER_PIXEL,
    SPARE_BYTES,
    allow_formats,
    bound,
    bounded_time,
)


class Decoder:
    """Holds one open document, and answers one request at a time."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._source: Source | None = None
        self._bounds: PdfBounds | None = None

    def answer(self, request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        """Performs ``open`` or ``page``."""
        if request["do"] == "open":
            return self._open(request, data), b""
        assert self._source is not None
        image = self._load(request["number"])
        header = {"width": image.width, "height": image.height, "damaged": DAMAGED in image.info}
        return header, image.tobytes()

    def _open(self, request: dict[str, Any], data: bytes) -> dict[str, Any]:
        self._source = self._bounds = None
        if is_heif(data) and EXTRAS["heic"].missing:  # whose own message is for who runs the server
            raise ImageError(
                "[image] expected a format that this server reads; found HEIC, whose package is "
                "missing; send JPEG, or have its administrator install crispvl[heic]"
            )
        if is_pdf(data):
            self._bounds = PdfBounds(data, request["password"], self._max_pixels)
        options = InputOptions(dpi=request["dpi"], password=request["password"])
        self._source = open_source(data, options)
        numbers = [page.number for page in self._source.pages(request["pages"])]
        return {"numbers": numbers, "n_pages": self._source.n_pages}

    def _load(self, number: int) -> Image.Image:
        assert self._source is not None
        if self._bounds is not None:
            self._bounds.check(number)
        (page,) = self._source.pages(str(number))
        return page.load()


def serve(requests: BinaryIO, replies: BinaryIO, max_pixels: int) -> None:
    """Answers requests until there are no more."""
    decoder = Decoder(max_pixels)
    while line := requests.readline():
        request = json.loads(line)
        data = requests.read(request["n_bytes"])
        try:
            with bounded_time(request["cpu_limit_s"]):
                reply, payload = decoder.answer(request, data)
        except Exception as error:
            reply, payload = _describe(error), b""
        head = json.dumps({**reply, "n_bytes": len(payload)})
        replies.write(head.encode() + b"\n" + payload)
        replies.flush()


def _describe(error: Exception) -> dict[str, Any]:
    if isinstance(error, MemoryError):
        error = ImageError(
            "[image] expected a file that takes less memory to decode; found one that takes too "
            "much; scale its pictures down"
        )
    if isinstance(error, CrispVLError | ValueError):
        return {"error": type(error).__name__, "message": str(error)}
    return {
        "error": DocumentError.__name__,
        "message": "[document] expected one that can be decoded; found another; save it again",
    }


if __name__ == "__main__":
    max_pixels = int(sys.argv[1])
    if "--patient" in sys.argv and hasattr(os, "nice"):
        os.nice(5)
    allow_formats(max_pixels)
    bound(SPARE_BYTES + BYTES_PER_PIXEL * max_pixels)
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer, max_pixels)
