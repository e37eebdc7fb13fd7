"""The process that writes one searchable PDF: ``python -m crispvl.server.pdf_writer MAX_PIXELS``.

OCRmyPDF and the libraries beneath it work on a stranger's file; what breaks them ends this process
alone. The server sends a `Task`, pickled, and gets a line of JSON, behind which the PDF follows.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import sys
from dataclasses import dataclass
from typing import Any, BinaryIO

from crispvl.results.document import Document
from crispvl.server.process_limits import BYTES_PER_PIXEL, SPARE_BYTES, allow_formats, bound

MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True)
class Task:
    """What was read, what it was read from, and where the PDF is written."""

    document: Document
    data: bytes
    password: str | None
    path: str


def serve(request: BinaryIO, reply: BinaryIO) -> None:
    """Does one task."""
    task: Task = pickle.load(request)  # the server's own
    head: dict[str, Any] = {}
    try:
        task.document.to_pdf(task.path, io.BytesIO(task.data), task.password)
    except Exception as error:
        head = {"error": type(error).__name__, "message": str(error)}
    reply.write(json.dumps(head).encode() + b"\n")
    if not head:
        with open(task.path, "rb") as file:
            reply.write(file.read())
    reply.flush()


if __name__ == "__main__":
    max_pixels = int(sys.argv[1])
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints goes to the log
    allow_formats(max_pixels)
    bound(SPARE_BYTES + BYTES_PER_PIXEL * max_pixels, MAX_FILE_BYTES)
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        serve(sys.stdin.buffer, output)
