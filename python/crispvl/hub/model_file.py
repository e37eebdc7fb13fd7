"""Which file a model came from, so that a result says what made it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from crispvl.bundled import file_sha256
from crispvl.utf8 import encodable


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """The GGUF file of a model, or the two of a pair."""

    path: Path
    mmproj: Path | None = None

    @property
    def name(self) -> str:
        """The model's file name, as UTF-8 can hold it."""
        return encodable(self.path.name)

    def to_dict(self) -> dict[str, Any]:
        """Returns names and SHA-256 as JSON's types; each file is hashed once per process."""
        parts = [path for path in (self.path, self.mmproj) if path is not None]
        return {
            "name": self.name,
            "sha256": {encodable(path.name): sha256(path) for path in parts},
        }


def sha256(path: Path) -> str:
    """Returns a file's SHA-256 in hexadecimal, remembered until the file changes."""
    status = os.stat(path)
    return _hashed(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _hashed(path: Path, n_bytes: int, changed_ns: int) -> str:
    return file_sha256(path)
