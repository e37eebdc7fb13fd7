"""Lines as they were read, with the place of each word."""

from __future__ import annotations

from crispvl._core import ReadLine, ReadWord

__all__ = ["ReadLine", "ReadWord"]
