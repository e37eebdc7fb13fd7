"""Configurations in the layout of InternVL's own code (``internvl_chat``)."""

from __future__ import annotations

from typing import Any


def chat_config(vision: dict[str, Any], text: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A whole configuration: the released values around an encoder and a text model.

    Args:
        vision: Of the encoder.
        text: Of the text model.
        changed: What differs from the released values, or is added to them.
    """
    return {
        "model_type": "internvl_chat",
        "vision_config": vision,
        "llm_config": text,
        "force_image_size": 448,
        "downsample_ratio": 0.5,
        "select_layer": -1,
        "ps_version": "v2",
        "template": "internvl2_5",
        "dynamic_image_size": True,
        "min_dynamic_patch": 1,
        "max_dynamic_patch": 12,
        "use_thumbnail": True,
        **changed,
    }
