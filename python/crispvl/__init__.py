"""crispvl reads documents with InternVL vision-language models, on ggml.

    from crispvl import CrispOCR

    ocr = CrispOCR()
    print(ocr.recognize("receipt.png"))

`CrispOCR` is the high level (images to text), `Model` the low one (token ids and arrays).
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from crispvl.variants import chosen

if TYPE_CHECKING:
    from crispvl._core import CancelToken
    from crispvl._version import __version__
    from crispvl.engine.model import Model
    from crispvl.engine.token_stream import Token
    from crispvl.errors import (
        Cancelled,
        ContextOverflowError,
        CrispVLError,
        DeviceError,
        DocumentChangedError,
        DocumentError,
        ExtractionError,
        ImageError,
        InternalError,
        ModelFileError,
        OutOfMemoryError,
        PasswordError,
    )
    from crispvl.options import GenerateOptions, ReadOptions
    from crispvl.reading.ocr import CrispOCR
    from crispvl.results.document import Document
    from crispvl.results.generation import Answer, Confidence, Generation, Timings
    from crispvl.results.grounding import Box
    from crispvl.results.lines import Word
    from crispvl.results.page import Page

_HOMES: dict[str, tuple[str, ...]] = {
    "crispvl._core": ("CancelToken",),
    "crispvl._version": ("__version__",),
    "crispvl.engine.model": ("Model",),
    "crispvl.engine.token_stream": ("Token",),
    "crispvl.errors": (
        "Cancelled",
        "ContextOverflowError",
        "CrispVLError",
        "DeviceError",
        "DocumentChangedError",
        "DocumentError",
        "ExtractionError",
        "ImageError",
        "InternalError",
        "ModelFileError",
        "OutOfMemoryError",
        "PasswordError",
    ),
    "crispvl.options": (
        "GenerateOptions",
        "ReadOptions",
    ),
    "crispvl.reading.ocr": ("CrispOCR",),
    "crispvl.results.document": ("Document",),
    "crispvl.results.generation": (
        "Answer",
        "Confidence",
        "Generation",
        "Timings",
    ),
    "crispvl.results.grounding": ("Box",),
    "crispvl.results.lines": ("Word",),
    "crispvl.results.page": ("Page",),
}
"""Per module, what of it is found here. It is imported when one of the names is asked for."""

__all__ = [
    "Answer",
    "Box",
    "CancelToken",
    "Cancelled",
    "Confidence",
    "ContextOverflowError",
    "CrispOCR",
    "CrispVLError",
    "DeviceError",
    "Document",
    "DocumentChangedError",
    "DocumentError",
    "ExtractionError",
    "GenerateOptions",
    "Generation",
    "ImageError",
    "InternalError",
    "Model",
    "ModelFileError",
    "OutOfMemoryError",
    "Page",
    "PasswordError",
    "ReadOptions",
    "Timings",
    "Token",
    "Word",
    "__version__",
]

# Where `crispvl._core` is looked for first; see crispvl/variants.py.
__path__.insert(0, str(chosen().folder))


def __getattr__(name: str) -> Any:
    """Imports what is asked for, so that the command starts at once and Ctrl-C always ends it."""
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is not None:
        globals()[name] = getattr(import_module(home), name)
        return globals()[name]
    if not name.startswith("_") and find_spec(f"crispvl.{name}") is not None:
        return import_module(f"crispvl.{name}")
    raise AttributeError(f"module 'crispvl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
