"""How much memory KV caches may take together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crispvl.plan.system_memory import available_bytes

if TYPE_CHECKING:
    from crispvl.engine.interface import VisionLanguageModel

SHARE_OF_MEMORY = 0.25
"""Of what is free now, for the KV caches of all answers under way."""

NO_LIMIT = 1 << 62


def kv_tokens(model: VisionLanguageModel) -> int:
    """Returns how many tokens the sessions of all answers may hold."""
    free = free_bytes(model)
    if free is None:
        return NO_LIMIT
    return int(SHARE_OF_MEMORY * free / model.core.kv_bytes)


def free_bytes(model: VisionLanguageModel) -> int | None:
    """Returns what the model's device has free for more; None where it is unknown."""
    from crispvl._core import devices

    for device in devices():
        if device["name"] == model.core.device and device["type"] == "gpu":
            return int(device["memory_free"])
    return available_bytes()
