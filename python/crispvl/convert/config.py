"""What a checkpoint is: sizes and switches, the same whatever layout they were read from."""

from __future__ import annotations

from dataclasses import dataclass

from crispvl.convert.families import TextFamily
from crispvl.convert.rope import RopeScaling


@dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """The InternViT encoder."""

    n_layers: int
    width: int
    n_heads: int
    d_mlp: int
    patch_px: int
    tile_px: int
    norm: str
    norm_epsilon: float
    qk_norm: str
    qkv_bias: bool
    activation: str
    feature_layer: int


@dataclass(frozen=True, kw_only=True)
class ProjectorConfig:
    """Pixel unshuffle and the two-layer MLP to the text model's width."""

    downsample_ratio: float
    scale_factor: int
    activation: str
    norm_epsilon: float
    unshuffle_version: str


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The text model.

    Attributes:
        context_length: Positions it can be used with, in tokens, RoPE scaling included.
        tied_head: What the config says; the tensors have the last word.
    """

    family: TextFamily
    n_layers: int
    width: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_mlp: int
    vocab_size: int
    context_length: int
    norm_epsilon: float
    rope_theta: float
    rope_scaling: RopeScaling
    qkv_bias: bool
    attn_out_bias: bool
    mlp_bias: bool
    tied_head: bool


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """How pages become tiles."""

    min_tiles: int
    max_tiles: int
    thumbnail: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """Everything ``config.json`` (and, for ``hf``, the preprocessor's file) says.

    Attributes:
        layout: ``chat`` or ``hf``.
        template: Name of the conversation format; empty for ``hf``.
        system_message: The config's own; None where the format's counts.
        eos_ids: End-of-sequence ids the text model's config names.
    """

    layout: str
    vision: VisionConfig
    projector: ProjectorConfig
    decoder: DecoderConfig
    image: ImageConfig
    template: str
    system_message: str | None
    eos_ids: tuple[int, ...]
