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
    truncate: bool = True
    attention_factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    short_factor: tuple[float, ...] = ()
    long_factor: tuple[float, ...] = ()


# What transformers' GptOssConfig takes where a config says nothing.
_GPT_OSS = {
    "rope_type": "yarn",
    "factor": 32.0,
    "truncate": False,
    "original_max_position_embeddings": 4096,
}


def rope_config(text: dict[str, Any]) -> RopeConfig:
    """Reads ``rope_parameters``, or ``rope_theta`` with ``rope_scaling``."""
    rope = {"rope_theta": text.get("rope_theta"), **(text.get("rope_scaling") or {})}
    rope.update(text.get("rope_parameters") or {})
    if text["model_type"] == "gpt_oss" and rope.keys() <= {"rope_theta"}:
        rope.update(_GPT_OSS)
    scaling = rope.get("rope_type") or rope.get("type") or "default"
    context = text["max_position_embeddings"]
    longest = context
    if scaling in ("yarn", "llama3", "longrope", "su"):
        original = text.get("original_max_position_embeddings") or context
        context = rope.get("original_max_position_embeddings") or original
    factor = float(rope.get("factor", 1.0))
    attention_factor = 0.1 * math.log(factor) + 1.0
    if scaling in ("longrope", "su"):
        stretch = float(rope.get("factor") or longest / context)
        attention_factor = math.sqrt(1 + math.log(stretch) / math.log(context))
    return RopeConfig(
        theta=float(rope["rope_theta"]),
        scaling=scaling,
        factor=factor,
        context=context,
        beta_fast=float(rope.get("beta_fast") or 32.0),
        beta_slow=float(rope.get("beta_slow") or 1.0),
        truncate=rope.get("truncate", True),
        attention_factor=float(rope.get("attention_factor") or attention_factor),
        low_freq_factor=rope.get("low_freq_factor", 1.0),
        high_freq_factor=rope.get("high_freq_factor", 4.0),
        short_factor=tuple(rope.get("short_factor") or ()),
        long_factor=tuple(rope.get("long_factor") or ()),
    )
