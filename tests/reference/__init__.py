"""InternVL in plain numpy, float64, one block per file: the oracle of the tests.

It reads checkpoints by itself and shares no code with the converter or the engine. Arrays are
row-major with tokens first: ``[n_tokens, width]``. Where a block follows published code, its
docstring says which.
"""

from __future__ import annotations

from reference.checkpoint import Checkpoint, load_checkpoint
from reference.model import Reference

__all__ = ["Checkpoint", "Reference", "load_checkpoint"]
