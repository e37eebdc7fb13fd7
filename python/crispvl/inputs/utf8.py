"""Text that can be written as UTF-8. The names of files need not be: on Unix they are any bytes."""

from __future__ import annotations

import os


def encodable(text: str) -> str:
    r"""Returns a text with what UTF-8 cannot hold written out, as Python's error stream does it.

    Of a name, that is each byte that is no UTF-8: 0xE9 is ``\udce9`` in Python.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def path_name(path: str | os.PathLike[str]) -> str:
    """Returns a file's name as text: its bytes as UTF-8, in whatever encoding the locale has them.

    So the records of one run are found by another one in another locale. See `encodable` for bytes
    that are no UTF-8.
    """
    try:
        return encodable(os.fsencode(path).decode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:  # no file here can have this name
        return encodable(os.fspath(path))


def check_encodable(text: str) -> str:
    """Returns a text that UTF-8 can hold.

    Raises:
        ValueError: It cannot.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"[text] expected Unicode characters; found {text[error.start]!a} at {error.start}; "
            "decode the text as UTF-8"
        ) from None
    return text
