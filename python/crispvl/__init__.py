"""crispvl reads documents with InternVL vision-language models, on ggml.

    from crispvl import CrispOCR

    ocr = CrispOCR()
    print(ocr.recognize("receipt.png"))

`CrispOCR` is the high level (images to text), `Model` the low one (token ids and arrays).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crispvl._version import __version__
from crispvl.engine.model import Model
from crispvl.engine.token_stream import Token
from crispvl.errors import (
    Cancelled,
    ContextOverflowError,
    CrispVLError,
    DeviceError,
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
from crispvl.variants import chosen

if TYPE_CHECKING:
    from crispvl._core import CancelToken

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
    """Loads the compiled core only when something of it is asked for."""
    if name == "CancelToken":
        from crispvl._core import CancelToken

        return CancelToken
    raise AttributeError(f"module 'crispvl' has no attribute {name!r}")
