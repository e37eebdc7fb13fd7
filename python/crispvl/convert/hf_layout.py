"""Reads ``config.json`` as transformers' own classes do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crispvl.convert.config import CheckpointConfig
from crispvl.convert.decoder_config import read_decoder
from crispvl.convert.section import Section, is_number
from crispvl.convert.values import id_list
from crispvl.convert.vision_config import (
    IMAGENET,
    read_image,
    read_projector,
    read_vision,
    used_layers,
)

# What transformers' GotOcr2ImageProcessor takes where its file says nothing (CLIP's).
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))

# InternVLVisionRMSNorm's, which its q and k norms keep whatever the config's epsilon is.
_QK_NORM_EPSILON = 1e-6

# Values of transformers' InternVLVisionConfig; its files may leave out what equals them.
_VISION_DEFAULTS = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "attention_bias": False,
    "use_qk_norm": False,
    "hidden_act": "gelu",
    "norm_type": "layer_norm",
    "layer_norm_eps": 1e-6,
    "image_size": 448,
    "patch_size": 14,
    "num_channels": 3,
    "use_mask_token": False,
    "use_absolute_position_embeddings": True,
    "use_mean_pooling": True,
}


# What other model classes of the -hf layout assume instead.
HF_MODELS: Mapping[str, Mapping[str, Any]] = {
    "internvl": _VISION_DEFAULTS,
    "qianfan_ocr": {**_VISION_DEFAULTS, "attention_bias": True},
}

# What their model cards ask for a page.
_PROMPTS: Mapping[str, Mapping[str, str]] = {
    "internvl": {},
    "qianfan_ocr": {"markdown": "Parse this document to Markdown."},
}


def read_hf_config(
    config: Mapping[str, Any], preprocessor_config: Mapping[str, Any] | None
) -> CheckpointConfig:
    """Sizes and switches; see `crispvl.convert.layouts.read_config`."""
    root = Section(config, "config.json")
    preprocessor = Section(preprocessor_config or {}, "preprocessor_config.json")
    root.expect("vision_feature_select_strategy", "default", None)
    root.expect("projector_hidden_act", "gelu", None)
    vision = root.child("vision_config", HF_MODELS[root.text("model_type")])
    vision.expect("use_mask_token", False)
    vision.expect("use_absolute_position_embeddings", True)
    vision.expect("use_mean_pooling", True)
    text = root.child("text_config")
    qk_norm = vision.boolean("use_qk_norm")
    if qk_norm:
        vision.expect("layer_norm_eps", _QK_NORM_EPSILON)
    _expect_usual_pixels(preprocessor, vision.count("image_size"))
    mean, std = _CLIP if preprocessor.raw_values() else IMAGENET
    # Where the file says nothing: the values of transformers' GotOcr2ImageProcessor.
    image = Section(
        {k: preprocessor.raw(k) for k in ("min_patches", "max_patches") if preprocessor.has(k)},
        preprocessor.where,
        {"min_patches": 1, "max_patches": 12},
    )
    return CheckpointConfig(
        layout="hf",
        vision=read_vision(
            vision,
            qk_norm=qk_norm,
            qkv_bias=vision.boolean("attention_bias"),
            n_layers=used_layers(root, "vision_feature_layer", vision),
        ),
        projector=read_projector(
            root.number("downsample_ratio") if root.has("downsample_ratio") else 0.5, root
        ),
        router=None,
        decoder=read_decoder(root, text),
        image=read_image(
            image,
            ("min_patches", "max_patches"),
            thumbnail=True,  # its processor always asks for one
            multi_scale=False,
            mean=_rgb(preprocessor, "image_mean", mean),
            std=_rgb(preprocessor, "image_std", std),
        ),
        template="",
        system_message=None,
        eos_ids=id_list(text.raw("eos_token_id"), text.where),
        prompts=_PROMPTS[root.text("model_type")],
    )


def _expect_usual_pixels(preprocessor: Section, tile_px: int) -> None:
    """Refuses a processor that makes other numbers of a page than the engine does."""
    for step in ("do_resize", "do_rescale", "do_normalize"):
        preprocessor.expect(step, True, None)
    if preprocessor.has("rescale_factor"):
        factor = preprocessor.number("rescale_factor")
        if abs(factor * 255 - 1) > 1e-6:
            raise preprocessor.error("rescale_factor", "1/255", factor)
    edges = {"height": tile_px, "width": tile_px}
    preprocessor.expect("size", edges, tile_px, None)


def _rgb(s: Section, key: str, default: tuple[float, ...]) -> tuple[float, ...]:
    value = s.raw(key)
    if value is None:
        return default
    if not isinstance(value, list) or len(value) != 3 or not all(map(is_number, value)):
        raise s.error(key, "three numbers", value)
    return tuple(float(v) for v in value)
