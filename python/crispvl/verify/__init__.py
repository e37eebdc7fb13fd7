"""Proof that a file computes what the published model does."""

from __future__ import annotations

from crispvl.verify.compare import Verdict, verify_model
from crispvl.verify.expected import Expected, read_golden, write_golden

__all__ = ["Expected", "Verdict", "read_golden", "verify_model", "write_golden"]
