"""Writers of the layouts that other engines publish, from a checkpoint's arrays.

They follow those engines' converters and share nothing with ours but sizes and vocabulary, so what
is compared in the end is the reference and the engine.
"""

from __future__ import annotations

from foreign.crispembed import write_merged, write_native
from foreign.llamacpp import write_pair
from foreign.parts import ForeignModel

__all__ = ["ForeignModel", "write_merged", "write_native", "write_pair"]
