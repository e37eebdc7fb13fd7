"""The coded data of a WebP's pictures (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_RIFF_BYTES, _FRAME_BYTES = 12, 16  # before the chunks of a file, and of a frame
_LOSSY, _FRAME = b"VP8 ", b"ANMF"


def is_webp(data: bytes) -> bool:
    return data.startswith(b"RIFF") and data[8:12] == b"WEBP"


def lossy_pictures(data: bytes) -> Iterator[bytes | None]:
    """Yields a key frame of VP8 for each picture of a file; None for a lossless one."""
    whole = [body for kind, body in _chunks(data, _RIFF_BYTES) if kind == _FRAME]
    for body, begin in [(body, _FRAME_BYTES) for body in whole] or [(data, _RIFF_BYTES)]:
        yield next((coded for kind, coded in _chunks(body, begin) if kind == _LOSSY), None)


def _chunks(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    while at + 8 <= len(data):
        kind, n_bytes = struct.unpack_from("<4sI", data, at)
        yield kind, data[at + 8 : at + 8 + n_bytes]
        at += 8 + n_bytes + n_bytes % 2
