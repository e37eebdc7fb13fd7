"""Reads ``config.json`` as OpenGVLab publishes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crispvl.convert.config import CheckpointConfig, RouterConfig
from crispvl.convert.decoder_config import read_decoder
from crispvl.convert.section import Section
from crispvl.convert.values import id_list
from crispvl.convert.vision_config import (
    IMAGENET,
    PROJECTOR_NORM_EPSILON,
    read_image,
    read_projector,
    read_vision,
    used_layers,
)

# Heads of the router's attention, which its class has built in.
_ROUTER_HEADS = 16

# Values of InternVisionConfig; older checkpoints leave out what equals them.
_VISION_DEFAULTS = {
    "num_hidden_layers": 48,
    "hidden_size": 3200,
    "num_attention_heads": 25,
    "intermediate_size": 12800,
    "image_size": 224,
    "norm_type": "rms_norm",
    "qk_normalization": True,
    "qkv_bias": False,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "patch_size": 14,
    "num_channels": 3,
}

# Values of InternVLChatConfig, whose files may leave out what equals them.
_DEFAULTS = {
    "select_layer": -1,
    "downsample_ratio": 0.5,
    "ps_version": "v1",
    "pad2square": False,
    "dynamic_image_size": False,
    "min_dynamic_patch": 1,
    "max_dynamic_patch": 6,
    "use_thumbnail": False,
}


def read_chat_config(config: Mapping[str, Any]) -> CheckpointConfig:
    """Sizes and switches; see `crispvl.convert.layouts.read_config`."""
    root = Section(config, "config.json", _DEFAULTS)
    root.expect("ps_version", "v2")
    root.expect("pad2square", False, None)
    vision = root.child("vision_config", _VISION_DEFAULTS)
    if root.has("force_image_size"):
        # The published code would resample the position table for another tile size.
        root.expect("force_image_size", vision.count("image_size"))
    dynamic = root.boolean("dynamic_image_size")
    llm = root.child("llm_config")
    return CheckpointConfig(
        layout="chat",
        vision=read_vision(
            vision,
            qk_norm=vision.boolean("qk_normalization"),
            qkv_bias=vision.boolean("qkv_bias"),
            n_layers=used_layers(root, "select_layer", vision),
        ),
        projector=read_projector(root.number("downsample_ratio"), root),
        router=_router(root),
        decoder=read_decoder(root, llm),
        image=read_image(
            root,
            ("min_dynamic_patch", "max_dynamic_patch") if dynamic else None,
            thumbnail=root.boolean("use_thumbnail"),
            multi_scale=root.boolean("use_msac") if root.has("use_msac") else False,
            mean=IMAGENET[0],
            std=IMAGENET[1],
        ),
        template=root.text("template"),
        system_message=root.text("system_message") if root.has("system_message") else None,
        eos_ids=id_list(llm.raw("eos_token_id"), llm.where),
        prompts={},
    )


def _router(root: Section) -> RouterConfig | None:
    if not root.raw("flash_mode"):
        return None
    thresholds = [root.number(f"flash_{kind}_threshold") for kind in ("relative", "absolute")]
    for kind, threshold in zip(("relative", "absolute"), thresholds, strict=True):
        if not 0 <= threshold <= 1:
            raise root.error(f"flash_{kind}_threshold", "from 0 to 1", threshold)
    return RouterConfig(
        n_heads=_ROUTER_HEADS,
        norm_epsilon=PROJECTOR_NORM_EPSILON,
        relative_threshold=thresholds[0],
        absolute_threshold=thresholds[1],
    )
