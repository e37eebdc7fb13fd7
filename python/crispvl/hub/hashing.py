"""Fingerprints of model files."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path


def file_sha256(*files: Path) -> str:
    """Returns the SHA-256 in hexadecimal of a file, or of several joined in this order."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def sha256(path: Path) -> str:
    """Returns a file's SHA-256 in hexadecimal, remembered until the file changes."""
    status = os.stat(path)
    return _hashed(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _hashed(path: Path, n_bytes: int, changed_ns: int) -> str:
    return file_sha256(path)
