"""The small model that ships with the package, so that `CrispOCR()` reads without a download."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from threading import Lock

from crispvl.errors import ModelFileError
from crispvl.hub.hashing import file_sha256

FILE_NAME = "nano.gguf"
SHA256 = "54f3c0acad07791e2ae33a89d5d049f0c9f204a0ebb7f1a3d067b801c769af04"
"""Of the file; to be renewed whenever a better checkpoint replaces it (a test compares)."""

NOTICE = (
    "crispvl: reading with the bundled model, which is small and reads printed Latin text. For "
    "handwriting, formulas and questions, name an InternVL model: CrispOCR('model.gguf'), or "
    "-m model.gguf on the command line"
)

_log = logging.getLogger("crispvl")
_untold = Lock()
"""Taken by whoever tells, and kept."""


def path() -> Path:
    """Returns the bundled model's path, whether or not it is there."""
    return Path(__file__).parents[1] / "data" / FILE_NAME


@lru_cache(maxsize=1)
def verified_path() -> Path:
    """Returns the bundled model's path after comparing its hash.

    Raises:
        ModelFileError: The file is absent or altered.
    """
    model = path()
    if not model.is_file():
        raise ModelFileError(
            f"[{model}] expected the bundled model; found none in this installation; give a model "
            "file, or install crispvl from a wheel"
        )
    found = file_sha256(model)
    if found != SHA256:
        raise ModelFileError(
            f"[{model}] expected SHA-256 {SHA256}; found {found}; install crispvl again"
        )
    return model


def announce() -> None:
    """Says what the bundled model is, once in a process: called where it reads something."""
    if _untold.acquire(blocking=False):
        _log.warning(NOTICE)
