"""Tiny random checkpoints, written at test time as a hub would publish them.

One row for every value a config switch can take; see ``rows.py``. The same row and seed give the
same files.
"""

from __future__ import annotations

from tiny.checkpoint import make_checkpoint
from tiny.rows import ROWS, Row

__all__ = ["ROWS", "Row", "make_checkpoint"]
