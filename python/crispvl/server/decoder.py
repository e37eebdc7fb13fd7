"""The process that decodes what strangers send: ``python -m crispvl.server.decoder``.

It decodes apart from the server, within bounds of memory and with few decoders, so that a file that
breaks one ends this process alone. It speaks over its standard streams: each message is a line of
JSON, whose ``n_bytes`` bytes follow.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from typing import Any, BinaryIO

from PIL import Image

from crispvl.errors import CrispVLError, DocumentError, ImageError
from crispvl.inputs.sources import Source, open_source
from crispvl.options import InputOptions

FORMATS = frozenset(
    ("AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
)
"""Pillow's decoders that stay; the others are for formats that no scanner or camera writes."""

SPARE_BYTES = 256 << 20
"""Memory beyond the pixels: a document's bytes, PDFium's and Pillow's own."""

BYTES_PER_PIXEL = 12
"""Pillow's four, those of its conversion, and the three that are sent."""


class Decoder:
    """Holds one open document, and answers one request at a time."""

    def __init__(self) -> None:
        self._source: Source | None = None

    def answer(self, request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        """Performs ``open`` or ``page``."""
        if request["do"] == "open":
            return self._open(request, data), b""
        assert self._source is not None
        image = self._load(request["number"])
        return {"width": image.width, "height": image.height}, image.tobytes()

    def _open(self, request: dict[str, Any], data: bytes) -> dict[str, Any]:
        self._source = None
        Image.MAX_IMAGE_PIXELS = request["max_pixels"] // 2  # Pillow refuses twice as many
        options = InputOptions(dpi=request["dpi"], password=request["password"])
        self._source = open_source(data, options)
        numbers = [page.number for page in self._source.pages(request["pages"])]
        return {"numbers": numbers, "n_pages": self._source.n_pages}

    def _load(self, number: int) -> Image.Image:
        assert self._source is not None
        (page,) = self._source.pages(str(number))
        return page.load()


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answers requests until there are no more."""
    decoder = Decoder()
    while line := requests.readline():
        request = json.loads(line)
        data = requests.read(request["n_bytes"])
        try:
            reply, payload = decoder.answer(request, data)
        except Exception as error:
            reply, payload = _describe(error), b""
        head = json.dumps({**reply, "n_bytes": len(payload)})
        replies.write(head.encode() + b"\n" + payload)
        replies.flush()


def _describe(error: Exception) -> dict[str, Any]:
    if isinstance(error, MemoryError):
        error = ImageError("[image] fewer pixels are expected; found too many; scale it down")
    if isinstance(error, CrispVLError | ValueError):
        return {"error": type(error).__name__, "message": str(error)}
    return {"error": DocumentError.__name__, "message": "[document] it cannot be decoded"}


def _restrict(max_bytes: int) -> None:
    """Bounds memory, forbids writing files, and leaves only the decoders of `FORMATS`."""
    warnings.simplefilter("ignore")
    Image.init()
    for name in set(Image.ID) - FORMATS:
        Image.ID.remove(name)
        Image.OPEN.pop(name, None)
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        with open("/proc/self/statm") as file:
            in_use = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + max_bytes, in_use + max_bytes))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _restrict(SPARE_BYTES + BYTES_PER_PIXEL * int(sys.argv[1]))
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer)
