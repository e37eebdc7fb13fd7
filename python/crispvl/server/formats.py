"""What a document that was read can be sent as."""

from __future__ import annotations

import tempfile
from pathlib import Path

from crispvl.results.document import Document
from crispvl.results.formats import FORMATS
from crispvl.server.uploads import Upload
from crispvl.server.wire.ocr import OutputFormat


def media_type(kind: OutputFormat) -> str:
    """Returns a format's name in HTTP, with the characters' encoding where it is text."""
    named = FORMATS[kind].media_type
    return f"{named}; charset=utf-8" if named.startswith("text/") else named


def write(document: Document, kind: OutputFormat, upload: Upload) -> bytes:
    """Returns a document in a format.

    Args:
        document: What was read.
        kind: Which format.
        upload: What it was read from, for a searchable PDF.

    Raises:
        ImportError: A package is missing that the format needs.
    """
    to_text = FORMATS[kind].write
    if to_text is None:
        with tempfile.TemporaryDirectory(prefix="crispvl-") as folder:
            output = Path(folder) / "searchable.pdf"
            document.to_pdf(output, upload.data, upload.fields.password)
            return output.read_bytes()
    return to_text([document]).encode()
