"""Pages drawn by a computer, which never were on paper: their print is read at a smaller size."""

from __future__ import annotations

from crispvl._core import DRAWN_SCALE, is_drawn

__all__ = ["DRAWN_SCALE", "is_drawn"]
