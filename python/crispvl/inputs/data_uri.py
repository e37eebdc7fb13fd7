"""Documents that come as text, ``data:image/png;base64,…`` (RFC 2397), as web APIs take them."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote_to_bytes

from crispvl.errors import DocumentError

_SPACE = re.compile(rb"\s+")
_URL_ALPHABET = bytes.maketrans(b"-_", b"+/")  # RFC 4648, 5


def is_data_uri(text: str) -> bool:
    return text[:5].lower() == "data:"


def data_uri_name(uri: str) -> str:
    """Returns what a data URI is called in messages and results: its head, without the data."""
    head = uri.partition(",")[0]
    return f"{head if len(head) <= 60 else head[:60] + '…'},…"


def decode_data_uri(uri: str) -> bytes:
    """Returns the data; what type it claims to be does not matter.

    Raises:
        DocumentError: There is none, or it is no base64 although it says so.
    """
    head, comma, data = uri.partition(",")
    if not comma:
        raise DocumentError(
            f"[{data_uri_name(uri)}] expected data:TYPE;base64,DATA; found no comma; check the URI"
        )
    packed = unquote_to_bytes(data)
    if not re.search(r";\s*base64\s*\Z", head, re.IGNORECASE):
        return packed
    try:
        return decode_base64(packed)
    except ValueError as error:
        raise DocumentError(
            f"[{data_uri_name(uri)}] expected base64; found something else ({error}); check how "
            "it was encoded"
        ) from None


def decode_base64(packed: bytes) -> bytes:
    """Returns the data of base64 as people have it: with spaces, of either alphabet, not padded.

    Raises:
        ValueError: It is something else.
    """
    packed = _SPACE.sub(b"", packed).translate(_URL_ALPHABET).rstrip(b"=")
    return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
