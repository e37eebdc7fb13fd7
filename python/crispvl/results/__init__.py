"""What is found, and the forms it is written in."""

from __future__ import annotations

from crispvl.results.generation import Answer, Confidence, Generation, Repair, Timings

__all__ = ["Answer", "Confidence", "Generation", "Repair", "Timings"]
