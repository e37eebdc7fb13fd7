"""The parts of ``config.json`` that both layouts spell alike: encoder, projector, tiles."""

from __future__ import annotations

from crispvl.convert.config import ImageConfig, ProjectorConfig, VisionConfig
from crispvl.convert.section import MOST_LAYERS, Section

# Mean and deviation of the model card's recipe, for the chat layout, which stores neither, and for
# a checkpoint without a processor's file.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

# The projector's LayerNorm is built without arguments in both layouts: PyTorch's 1e-5.
PROJECTOR_NORM_EPSILON = 1e-5


def read_vision(
    s: Section,
    *,
    qk_norm: bool,
    qkv_bias: bool,
    n_layers: int,
) -> VisionConfig:
    """The encoder; what the layouts spell each in its own way is given."""
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


def used_layers(root: Section, key: str, vision: Section) -> int:
    """Layers of the encoder up to the one whose output the projector takes.

    The key is an index into the outputs, the embedding's being the first one.
    """
    n_layers = vision.count("num_hidden_layers", MOST_LAYERS)
    index = root.integer(key) if root.has(key) else -1
    used = index if index >= 0 else n_layers + 1 + index
    if not 1 <= used <= n_layers:
        raise root.error(key, f"one of -{n_layers} to {n_layers}, and not 0", index)
    return used


def read_image(
    s: Section,
    keys: tuple[str, str] | None,
    *,
    thumbnail: bool,
    multi_scale: bool,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> ImageConfig:
    """How a page becomes tiles; ``keys`` are those of the fewest and most, None for one tile."""
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


def read_projector(downsample_ratio: float, root: Section) -> ProjectorConfig:
    """The projector, whose pixel unshuffle is the ratio's inverse."""
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
