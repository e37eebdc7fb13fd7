"""The lines of an answer, each with its tokens and how sure each character is."""

from __future__ import annotations

from crispvl._core import Row, split_rows

__all__ = ["Row", "split_rows"]
