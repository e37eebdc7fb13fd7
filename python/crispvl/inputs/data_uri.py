"""Documents that come as text, ``data:image/png;base64,…`` (RFC 2397), as web APIs take them."""

from __future__ import annotations

import base64
import string
from hashlib import sha256

import numpy as np

from crispvl.errors import DocumentError
from crispvl.inputs.utf8 import encodable

_SPACE = string.whitespace.encode()
_URL_ALPHABET = bytes.maketrans(b"-_", b"+/")  # RFC 4648, 5
_NO_DIGIT = 255


def is_data_uri(text: str) -> bool:
    return text.lstrip()[:5].lower() == "data:"


def data_uri_name(uri: str) -> str:
    """Returns what a data URI is called in messages and results: its head, and a hash of it all.

    So two of them are two documents wherever documents are known by their names.
    """
    uri = encodable(uri.strip())
    head = uri.partition(",")[0]
    digest = sha256(uri.encode()).hexdigest()[:12]
    return f"{head if len(head) <= 60 else head[:60] + '…'},…{digest}"


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
    packed = unescape(data)
    if head.rpartition(";")[2].strip().lower() != "base64":  # the type's last parameter
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
    packed = packed.translate(_URL_ALPHABET, _SPACE).rstrip(b"=")
    return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)


def unescape(text: str) -> bytes:
    """Returns the bytes of a text in UTF-8, ``%41`` and the like undone (RFC 3986, 2.1).

    As `urllib.parse.unquote_to_bytes`, but a document of millions of escapes takes no seconds.
    """
    if "%" not in text:
        return text.encode()
    data = np.frombuffer(text.encode() + bytes(2), np.uint8)
    digits = _DIGITS[data]
    high, low, data = digits[1:-1], digits[2:], data[:-2]
    begins = (data == ord("%")) & (high != _NO_DIGIT) & (low != _NO_DIGIT)
    stays = np.ones(len(data), bool)
    stays[1:] &= ~begins[:-1]
    stays[2:] &= ~begins[:-2]
    return np.where(begins, high << 4 | low, data)[stays].tobytes()


def _digits() -> np.ndarray:
    """Returns the value of each character that is a hexadecimal digit."""
    values = np.full(256, _NO_DIGIT, np.uint8)
    for digit in string.hexdigits:
        values[ord(digit)] = int(digit, 16)
    return values


_DIGITS = _digits()
