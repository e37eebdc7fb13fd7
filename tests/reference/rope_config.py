"""RoPE parameters as the models' configs spell them, old and new."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RopeConfig:
    """``context`` is the trained length in tokens; a scaling reads only its own fields."""

    theta: float
    scaling: str = "default"
    factor: float = 1.0
    context: int = 0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float = 1.0


def rope_config(text: dict[str, Any]) -> RopeConfig:
    """Reads ``rope_parameters``, or ``rope_theta`` with ``rope_scaling``."""
    rope = {"rope_theta": text.get("rope_theta"), **(text.get("rope_scaling") or {})}
    rope.update(text.get("rope_parameters") or {})
    scaling = rope.get("rope_type") or rope.get("type") or "default"
    context = text["max_position_embeddings"]
    if scaling == "yarn":
        context = rope.get("original_max_position_embeddings") or context
    factor = float(rope.get("factor", 1.0))
    return RopeConfig(
        theta=float(rope["rope_theta"]),
        scaling=scaling,
        factor=factor,
        context=context,
        beta_fast=float(rope.get("beta_fast") or 32.0),
        beta_slow=float(rope.get("beta_slow") or 1.0),
        attention_factor=float(rope.get("attention_factor") or 0.1 * math.log(factor) + 1.0),
    )
