"""Text files as editors save them: UTF-8, with a byte order mark or without, or UTF-16."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from crispvl.errors import DocumentError
from crispvl.inputs.utf8 import encodable

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: str | os.PathLike[str]) -> str:
    """Returns the text of a file, without its byte order mark, lines ending in ``\\n``.

    Raises:
        FileNotFoundError: The file does not exist.
        DocumentError: It holds no text in UTF-8, nor in UTF-16 with its mark.
    """
    data = Path(path).read_bytes()
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"[{encodable(os.fspath(path))}] expected text in UTF-8; found byte "
            f"0x{data[error.start]:02x} at {error.start}; save the file as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
