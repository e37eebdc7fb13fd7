"""Text files as editors save them: UTF-8, with a byte order mark or without, or UTF-16."""

from __future__ import annotations

import codecs
import json
import os
from pathlib import Path
from typing import Any

from crispvl.errors import DocumentError
from crispvl.inputs.utf8 import encodable

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def text_encoding(head: bytes) -> str:
    """Returns the encoding that a file's first bytes tell; UTF-8 if they tell none."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")


def read_text(path: str | os.PathLike[str]) -> str:
    """Returns the text of a file, without its byte order mark, lines ending in ``\\n``.

    Raises:
        FileNotFoundError: The file does not exist.
        DocumentError: It holds no text in UTF-8, nor in UTF-16 with its mark.
    """
    data = Path(path).read_bytes()
    try:
        text = data.decode(text_encoding(data))
    except UnicodeDecodeError as error:
        raise _no_text(path, f"byte 0x{data[error.start]:02x} at {error.start}") from None
    if "\0" in text:  # UTF-16 without its mark, UTF-32, or no text at all
        raise _no_text(path, f"NUL as character {text.index(chr(0))}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Returns the value of a JSON file, whose text is as `read_text` takes it.

    Raises:
        FileNotFoundError: The file does not exist.
        DocumentError: It holds no JSON.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(
            f"[{encodable(os.fspath(path))}] expected JSON; found something else ({error}); save "
            "or download the file again"
        ) from error


def _no_text(path: str | os.PathLike[str], found: str) -> DocumentError:
    return DocumentError(
        f"[{encodable(os.fspath(path))}] expected text in UTF-8; found {found}; save the file as "
        "UTF-8"
    )
