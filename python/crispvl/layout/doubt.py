"""How far an answer's row can be what its strip shows."""

from __future__ import annotations

from crispvl._core import Reading, judge

__all__ = ["Reading", "judge"]
