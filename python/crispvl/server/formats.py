"""What a document that was read can be sent as."""

from __future__ import annotations

import anyio.to_thread

from crispvl.results.document import Document
from crispvl.results.formats import FORMATS
from crispvl.server.errors import ApiError
from crispvl.server.pdf_writing import PdfWriters
from crispvl.server.uploads import Upload
from crispvl.server.wire.ocr import OutputFormat


def media_type(kind: OutputFormat) -> str:
    """Returns a format's name in HTTP, with the characters' encoding where it is text."""
    named = FORMATS[kind].media_type
    return f"{named}; charset=utf-8" if named.startswith("text/") else named


async def write(
    document: Document, kind: OutputFormat, upload: Upload, writers: PdfWriters
) -> bytes:
    """Returns a document in a format.

    Args:
        document: What was read.
        kind: Which format.
        upload: What it was read from, for a searchable PDF.
        writers: Of searchable PDFs.

    Raises:
        ApiError: It cannot be written so.
    """
    to_text = FORMATS[kind].write
    if to_text is None:
        return await writers.write(document, upload)
    text = await anyio.to_thread.run_sync(to_text, [document])
    if kind == "csv" and not text:  # as on the command line: no table is no empty table
        raise ApiError(
            422,
            "[format] expected a table in this document; found none; ask for another format",
            "no_table",
            "format",
        )
    return text.encode()
