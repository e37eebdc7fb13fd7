"""Options, each declared once: the Python API, the command line and the server read these fields.

A field's ``metadata["help"]`` is its one sentence of documentation on the command line, and
``metadata["parse"]`` reads its value there where the type is not enough. Values are checked when an
object is made, so an object that exists is valid.
"""

from crispvl.options.answers import MAX_TOKENS, GenerateOptions
from crispvl.options.fields import MOST_SECONDS, fraction, with_values
from crispvl.options.loading import KvType, LoadOptions
from crispvl.options.reading import (
    MOST_TILES,
    InputOptions,
    Layout,
    ReadOptions,
    Task,
    check_tiles,
)

__all__ = [
    "MAX_TOKENS",
    "MOST_SECONDS",
    "MOST_TILES",
    "GenerateOptions",
    "InputOptions",
    "KvType",
    "Layout",
    "LoadOptions",
    "ReadOptions",
    "Task",
    "check_tiles",
    "fraction",
    "with_values",
]
