"""What is no file on a disk, such as a pipe or a device: it can be read once, and may never end."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from crispvl.errors import DocumentError

MAX_STREAM_BYTES = 1 << 30
"""Most that is read of a pipe or a device, some of which never end."""
_BLOCK_BYTES = 1 << 20


def read_bounded(file: IO[bytes], where: str) -> bytes:
    """Returns what a pipe or a device holds.

    Raises:
        DocumentError: It is more than any document.
    """
    data = bytearray()
    while block := file.read(_BLOCK_BYTES):
        data += block
        if len(data) > MAX_STREAM_BYTES:
            raise DocumentError(
                f"[{where}] expected a pipe of at most {MAX_STREAM_BYTES >> 20} MiB; found more; "
                "save it as a file first"
            )
    return bytes(data)


def is_stream(path: Path) -> bool:
    """Returns whether something is there that is neither file nor folder, like a FIFO."""
    return path.exists() and not path.is_file() and not path.is_dir()


def refuse_stream(path: Path) -> None:
    """Raises ValueError where a FIFO or a device is, which no file can take the place of."""
    if is_stream(path):
        raise ValueError(
            f"[{path}] expected a file on a disk; found a fifo or a device; move it away, or name "
            "another output"
        )
