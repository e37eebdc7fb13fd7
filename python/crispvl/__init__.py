"""crispvl reads documents with InternVL vision-language models, on ggml.

    from crispvl import CrispOCR

    ocr = CrispOCR()
    print(ocr.recognize("receipt.png"))

`CrispOCR` is the high level (images to text), `Model` the low one (token ids and arrays).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crispvl._version import __version__
from crispvl.errors import (
    Cancelled,
    ContextOverflowError,
    CrispVLError,
    DeviceError,
    ImageError,
    InternalError,
    ModelFileError,
    OutOfMemoryError,
)
from crispvl.generation import Token
from crispvl.model import Model
from crispvl.ocr import CrispOCR
from crispvl.options import GenerateOptions, ReadOptions
from crispvl.results import Confidence, Generation, Page, Result, Timings

if TYPE_CHECKING:
    from crispvl._core import CancelToken

__all__ = [
    "CancelToken",
    "Cancelled",
    "Confidence",
    "ContextOverflowError",
    "CrispOCR",
    "CrispVLError",
    "DeviceError",
    "GenerateOptions",
    "Generation",
    "ImageError",
    "InternalError",
    "Model",
    "ModelFileError",
    "OutOfMemoryError",
    "Page",
    "ReadOptions",
    "Result",
    "Timings",
    "Token",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Loads the compiled core only when something of it is asked for."""
    if name == "CancelToken":
        from crispvl._core import CancelToken

        return CancelToken
    raise AttributeError(f"module 'crispvl' has no attribute {name!r}")
