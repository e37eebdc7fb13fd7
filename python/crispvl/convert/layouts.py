"""Reads ``config.json`` in either layout.

``chat`` is the layout OpenGVLab publishes (``vision_config``, ``llm_config``); ``hf`` is the one
that transformers reads (``vision_config``, ``text_config``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crispvl.convert.config import (
    CheckpointConfig,
    ImageConfig,
    ProjectorConfig,
    RouterConfig,
    VisionConfig,
)
from crispvl.convert.decoder_config import read_decoder
from crispvl.convert.packing import refuse_quantised
from crispvl.convert.section import MOST_LAYERS, Section, is_number
from crispvl.convert.values import id_list
from crispvl.errors import ModelFileError

# Mean and deviation of the model card's recipe, for the chat layout, which stores neither, and for
# a checkpoint without a processor's file.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

# What transformers' GotOcr2ImageProcessor takes where its file says nothing (CLIP's).
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))

# InternVLVisionRMSNorm's, which its q and k norms keep whatever the config's epsilon is.
_HF_QK_NORM_EPSILON = 1e-6

# The projector's LayerNorm is built without arguments in both layouts: PyTorch's 1e-5.
PROJECTOR_NORM_EPSILON = 1e-5

# Heads of the router's attention, which its class has built in.
_ROUTER_HEADS = 16

# Values of InternVisionConfig; older checkpoints leave out what equals them.
_CHAT_VISION_DEFAULTS = {
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
_CHAT_DEFAULTS = {
    "select_layer": -1,
    "downsample_ratio": 0.5,
    "ps_version": "v1",
    "pad2square": False,
    "dynamic_image_size": False,
    "min_dynamic_patch": 1,
    "max_dynamic_patch": 6,
    "use_thumbnail": False,
}

# Values of transformers' InternVLVisionConfig; its files may leave out what equals them.
_HF_VISION_DEFAULTS = {
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
_HF_MODELS: Mapping[str, Mapping[str, Any]] = {
    "internvl": _HF_VISION_DEFAULTS,
    "qianfan_ocr": {**_HF_VISION_DEFAULTS, "attention_bias": True},
}

# What their model cards ask for a page.
_HF_PROMPTS: Mapping[str, Mapping[str, str]] = {
    "internvl": {},
    "qianfan_ocr": {"markdown": "Parse this document to Markdown."},
}

# Families that join InternVL's projector to another encoder, by what tells them from it.
_OTHER_ENCODERS: Mapping[str, str] = {
    "siglip_vision_model": "SigLIP",
    "siglip2_vision_model": "SigLIP 2",
    "siglip": "SigLIP",
    "radio": "C-RADIO",
    "clip_vision_model": "CLIP (DFN)",
    "dfn_vision_model": "DFN",
}


def read_config(
    config: Mapping[str, Any], preprocessor: Mapping[str, Any] | None
) -> CheckpointConfig:
    """Reads a checkpoint's configuration.

    Args:
        config: ``config.json``.
        preprocessor: ``preprocessor_config.json``, or the image part of ``processor_config.json``.

    Raises:
        ModelFileError: Not an InternVL checkpoint, or one that needs what the engine cannot do.
    """
    root = Section(config, "config.json")
    refuse_quantised(config)
    _refuse_other_encoder(config)
    if isinstance(config.get("llm_config"), Mapping):
        return _read_chat(Section(config, "config.json", _CHAT_DEFAULTS))
    if config.get("model_type") in _HF_MODELS and isinstance(config.get("text_config"), Mapping):
        return _read_hf(root, Section(preprocessor or {}, "preprocessor_config.json"))
    raise ModelFileError(
        "[config.json] expected an InternVL checkpoint, one with 'vision_config' and 'llm_config', "
        f"or of model_type {' or '.join(map(repr, _HF_MODELS))} with 'text_config'; found "
        f"model_type {config.get('model_type')!r}; give a folder of the OpenGVLab or the -hf kind"
    )


def _refuse_other_encoder(config: Mapping[str, Any]) -> None:
    """Refuses models of InternVL's build whose encoder is not InternViT, by name."""
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping):
        return
    kinds = [vision.get("model_type"), *(vision.get("architectures") or [])]
    named = [str(kind).lower() for kind in kinds if kind]
    named += ["radio"] if isinstance(vision.get("args"), Mapping) else []  # as C-RADIO's config
    for kind in named:
        encoder = next((n for k, n in _OTHER_ENCODERS.items() if kind.startswith(k)), None)
        if encoder is not None:
            raise ModelFileError(
                f"[config.json: vision_config] expected InternViT, the encoder of the InternVL "
                f"models; found {encoder} ({kind}); models with another encoder are not supported"
            )


def _read_chat(root: Section) -> CheckpointConfig:
    root.expect("ps_version", "v2")
    root.expect("pad2square", False, None)
    vision = root.child("vision_config", _CHAT_VISION_DEFAULTS)
    if root.has("force_image_size"):
        # The published code would resample the position table for another tile size.
        root.expect("force_image_size", vision.count("image_size"))
    dynamic = root.boolean("dynamic_image_size")
    llm = root.child("llm_config")
    return CheckpointConfig(
        layout="chat",
        vision=_vision(
            vision,
            qk_norm=vision.boolean("qk_normalization"),
            qkv_bias=vision.boolean("qkv_bias"),
            n_layers=_used_layers(root, "select_layer", vision),
        ),
        projector=_projector(root.number("downsample_ratio"), root),
        router=_router(root),
        decoder=read_decoder(root, llm),
        image=_image(
            root,
            ("min_dynamic_patch", "max_dynamic_patch") if dynamic else None,
            thumbnail=root.boolean("use_thumbnail"),
            multi_scale=root.boolean("use_msac") if root.has("use_msac") else False,
            mean=_IMAGENET[0],
            std=_IMAGENET[1],
        ),
        template=root.text("template"),
        system_message=root.text("system_message") if root.has("system_message") else None,
        eos_ids=id_list(llm.raw("eos_token_id"), llm.where),
        prompts={},
    )


def _read_hf(root: Section, preprocessor: Section) -> CheckpointConfig:
    root.expect("vision_feature_select_strategy", "default", None)
    root.expect("projector_hidden_act", "gelu", None)
    vision = root.child("vision_config", _HF_MODELS[root.text("model_type")])
    vision.expect("use_mask_token", False)
    vision.expect("use_absolute_position_embeddings", True)
    vision.expect("use_mean_pooling", True)
    text = root.child("text_config")
    qk_norm = vision.boolean("use_qk_norm")
    if qk_norm:
        vision.expect("layer_norm_eps", _HF_QK_NORM_EPSILON)
    _expect_usual_pixels(preprocessor, vision.count("image_size"))
    mean, std = _CLIP if preprocessor.raw_values() else _IMAGENET
    # Where the file says nothing: the values of transformers' GotOcr2ImageProcessor.
    image = Section(
        {k: preprocessor.raw(k) for k in ("min_patches", "max_patches") if preprocessor.has(k)},
        preprocessor.where,
        {"min_patches": 1, "max_patches": 12},
    )
    return CheckpointConfig(
        layout="hf",
        vision=_vision(
            vision,
            qk_norm=qk_norm,
            qkv_bias=vision.boolean("attention_bias"),
            n_layers=_used_layers(root, "vision_feature_layer", vision),
        ),
        projector=_projector(
            root.number("downsample_ratio") if root.has("downsample_ratio") else 0.5, root
        ),
        router=None,
        decoder=read_decoder(root, text),
        image=_image(
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
        prompts=_HF_PROMPTS[root.text("model_type")],
    )


def _vision(
    s: Section,
    *,
    qk_norm: bool,
    qkv_bias: bool,
    n_layers: int,
) -> VisionConfig:
    s.expect("norm_type", "layer_norm", "rms_norm")
    s.expect("hidden_act", "gelu")
    s.expect("num_channels", 3)
    return VisionConfig(
        n_layers=n_layers,
        width=s.count("hidden_size"),
        n_heads=s.count("num_attention_heads"),
        d_mlp=s.count("intermediate_size"),
        patch_px=s.count("patch_size"),
        tile_px=s.count("image_size"),
        norm=s.text("norm_type"),
        norm_epsilon=s.number("layer_norm_eps"),
        qk_norm="full" if qk_norm else "none",
        qkv_bias=qkv_bias,
        activation="gelu_erf",  # what "gelu" means to PyTorch
    )


def _used_layers(root: Section, key: str, vision: Section) -> int:
    """Layers of the encoder up to the one whose output the projector takes.

    The key is an index into the outputs, of which the embedding's is the first one.
    """
    n_layers = vision.count("num_hidden_layers", MOST_LAYERS)
    index = root.integer(key) if root.has(key) else -1
    used = index if index >= 0 else n_layers + 1 + index
    if not 1 <= used <= n_layers:
        raise root.error(key, f"one of -{n_layers} to {n_layers}, and not 0", index)
    return used


def _image(
    s: Section,
    keys: tuple[str, str] | None,
    *,
    thumbnail: bool,
    multi_scale: bool,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> ImageConfig:
    least, most = (s.count(keys[0]), s.count(keys[1])) if keys else (1, 1)
    if keys and least > most:
        raise s.error(keys[0], f"at most '{keys[1]}', which is {most}", least)
    return ImageConfig(
        min_tiles=least,
        max_tiles=most,
        thumbnail=thumbnail,
        multi_scale=multi_scale,
        mean=mean,
        std=std,
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


def _projector(downsample_ratio: float, root: Section) -> ProjectorConfig:
    scale_factor = round(1 / downsample_ratio) if downsample_ratio > 0 else 0
    if scale_factor < 1 or abs(scale_factor * downsample_ratio - 1) > 1e-9:
        raise root.error("downsample_ratio", "one divided by a whole number", downsample_ratio)
    return ProjectorConfig(
        downsample_ratio=downsample_ratio,
        scale_factor=scale_factor,
        activation="gelu_erf",
        norm_epsilon=PROJECTOR_NORM_EPSILON,
        unshuffle_version="v2",
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


def _rgb(s: Section, key: str, default: tuple[float, ...]) -> tuple[float, ...]:
    value = s.raw(key)
    if value is None:
        return default
    if not isinstance(value, list) or len(value) != 3 or not all(map(is_number, value)):
        raise s.error(key, "three numbers", value)
    return tuple(float(v) for v in value)
