"""What a checkpoint is: sizes and switches, the same whatever layout they were read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crispvl.convert.family import ExpertFamily, TextFamily
from crispvl.convert.rope import RopeScaling


@dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """The InternViT encoder; ``n_layers`` up to the one whose output the projector takes."""

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


@dataclass(frozen=True, kw_only=True)
class ProjectorConfig:
    """Pixel unshuffle and the two-layer MLP to the text model's width."""

    downsample_ratio: float
    scale_factor: int
    activation: str
    norm_epsilon: float
    unshuffle_version: str


@dataclass(frozen=True, kw_only=True)
class RouterConfig:
    """InternVL3.5-Flash's router and its second projector.

    A tile gives tokens up where the router's score is above the quantile ``relative_threshold`` of
    all tiles' and reaches ``absolute_threshold``.
    """

    n_heads: int
    norm_epsilon: float
    relative_threshold: float
    absolute_threshold: float


@dataclass(frozen=True, kw_only=True)
class ExpertsConfig:
    """A mixture of experts in place of each block's MLP.

    Attributes:
        family: How they are stored.
        n: Experts.
        n_used: Of them, those that compute a token.
        d_mlp: Inner width of each.
        normalised: A token's weights are made to sum to 1.
    """

    family: ExpertFamily
    n: int
    n_used: int
    d_mlp: int
    normalised: bool


@dataclass(frozen=True, kw_only=True)
class ClampedGate:
    """gpt-oss's gate in place of SwiGLU."""

    alpha: float
    limit: float


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The text model.

    Attributes:
        context_length: Positions it can be used with, in tokens, RoPE scaling included.
        window: Newest keys that a query of a sliding layer sees, its own among them; 0 for none.
        sliding_layers: Of each layer, whether it slides.
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
    window: int
    sliding_layers: tuple[bool, ...]
    gate: ClampedGate | None
    experts: ExpertsConfig | None
    tied_head: bool


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """How pages become tiles; ``multi_scale`` cuts a page into two grids."""

    min_tiles: int
    max_tiles: int
    thumbnail: bool
    multi_scale: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """Everything ``config.json`` (and, for ``hf``, the preprocessor's file) says.

    Attributes:
        layout: ``chat`` or ``hf``.
        router: Of models that give a tile few tokens or all; None for the others.
        template: Name of the conversation format; empty for ``hf``.
        system_message: The config's own; None where the format's counts.
        eos_ids: End-of-sequence ids the text model's config names.
        prompts: What the model's publisher asks it, by the names of `read_chat`.
    """

    layout: str
    vision: VisionConfig
    projector: ProjectorConfig
    router: RouterConfig | None
    decoder: DecoderConfig
    image: ImageConfig
    template: str
    system_message: str | None
    eos_ids: tuple[int, ...]
    prompts: Mapping[str, str]
