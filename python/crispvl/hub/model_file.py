"""Which file a model came from, so that a result says what made it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crispvl.hub.hashing import sha256
from crispvl.inputs.utf8 import encodable


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
