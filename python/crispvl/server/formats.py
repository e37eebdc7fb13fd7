"""What a document that was read can be sent as."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from crispvl.results.document import Document
from crispvl.server.uploads import Upload
from crispvl.server.wire.ocr import OutputFormat

MEDIA_TYPES: dict[OutputFormat, str] = {
    "json": "application/json",
    "jsonl": "application/jsonl",
    "text": "text/plain; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "pdf": "application/pdf",
}

_WRITERS: dict[OutputFormat, Callable[[Document], str]] = {
    "json": Document.to_json,
    "text": str,
    "markdown": Document.to_markdown,
    "html": Document.to_html,
    "csv": Document.to_csv,
    "jsonl": Document.to_jsonl,
}


def write(document: Document, kind: OutputFormat, upload: Upload) -> bytes:
    """Returns a document in a format.

    Args:
        document: What was read.
        kind: Which format.
        upload: What it was read from, for a searchable PDF.

    Raises:
        ImportError: A package is missing that the format needs.
    """
    if kind == "pdf":
        with tempfile.TemporaryDirectory(prefix="crispvl-") as folder:
            output = Path(folder) / "searchable.pdf"
            document.to_pdf(output, upload.data, upload.fields.password)
            return output.read_bytes()
    return _WRITERS[kind](document).encode()
