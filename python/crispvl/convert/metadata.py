"""The keys of the files: llama.cpp's for the text model and the encoder, ours for the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gguf
from gguf import GGUFValueType as Kind

from crispvl.convert.chat import Chat
from crispvl.convert.config import CheckpointConfig, DecoderConfig, RouterConfig
from crispvl.convert.vocabulary import Vocabulary
from crispvl.layout.strip_format import DEFAULT_LAYOUT_KEY, STRIP_KEYS
from crispvl.model_config import PROMPT_PREFIX

LAYOUT_VERSION = 1


@dataclass(frozen=True)
class Source:
    """Where a file comes from."""

    repository: str
    revision: str
    converter_version: str

    @property
    def name(self) -> str:
        """The last part of the repository's name."""
        return self.repository.rsplit("/", 1)[-1]


Entry = tuple[str, Any, Kind]


def common_entries(source: Source, layout: str, file_type: int) -> Iterator[Entry]:
    """What every file says about itself."""
    yield "general.name", source.name, Kind.STRING
    yield "general.file_type", file_type, Kind.UINT32
    yield "general.quantization_version", gguf.GGML_QUANT_VERSION, Kind.UINT32
    yield "crispvl.layout_version", LAYOUT_VERSION, Kind.UINT32
    yield "crispvl.converter.version", source.converter_version, Kind.STRING
    yield "crispvl.source.repository", source.repository, Kind.STRING
    yield "crispvl.source.revision", source.revision, Kind.STRING
    yield "crispvl.source.layout", layout, Kind.STRING


def vision_entries(config: CheckpointConfig) -> Iterator[Entry]:
    """Encoder, projector and tiling."""
    v, p, image = config.vision, config.projector, config.image
    yield "clip.has_vision_encoder", True, Kind.BOOL
    yield "clip.projector_type", "internvl", Kind.STRING
    yield "clip.use_gelu", True, Kind.BOOL
    for key, count in (
        ("image_size", v.tile_px),
        ("patch_size", v.patch_px),
        ("embedding_length", v.width),
        ("feed_forward_length", v.d_mlp),
        ("block_count", v.n_layers),
        ("attention.head_count", v.n_heads),
        ("projection_dim", config.decoder.width),
        ("projector.scale_factor", p.scale_factor),
        ("preproc_min_tiles", image.min_tiles),
        ("preproc_max_tiles", image.max_tiles),
    ):
        yield f"clip.vision.{key}", count, Kind.UINT32
    yield "clip.vision.attention.layer_norm_epsilon", v.norm_epsilon, Kind.FLOAT32
    yield "clip.vision.image_mean", list(image.mean), Kind.ARRAY
    yield "clip.vision.image_std", list(image.std), Kind.ARRAY
    yield "crispvl.vision.norm", v.norm, Kind.STRING
    yield "crispvl.vision.qk_norm", v.qk_norm, Kind.STRING
    yield "crispvl.vision.qkv_bias", v.qkv_bias, Kind.BOOL
    yield "crispvl.vision.activation", v.activation, Kind.STRING
    # Later layers are left out of the file.
    yield "crispvl.vision.feature_layer", -1, Kind.INT32
    yield "crispvl.projector.activation", p.activation, Kind.STRING
    yield "crispvl.projector.norm_epsilon", p.norm_epsilon, Kind.FLOAT32
    yield "crispvl.projector.downsample_ratio", p.downsample_ratio, Kind.FLOAT32
    yield "crispvl.projector.unshuffle_version", p.unshuffle_version, Kind.STRING
    yield "crispvl.image.thumbnail", image.thumbnail, Kind.BOOL
    yield "crispvl.image.multi_scale", image.multi_scale, Kind.BOOL
    if config.router is not None:
        yield from _router(config.router)


def _router(r: RouterConfig) -> Iterator[Entry]:
    yield "crispvl.router.head_count", r.n_heads, Kind.UINT32
    yield "crispvl.router.norm_epsilon", r.norm_epsilon, Kind.FLOAT32
    yield "crispvl.router.relative_threshold", r.relative_threshold, Kind.FLOAT32
    yield "crispvl.router.absolute_threshold", r.absolute_threshold, Kind.FLOAT32


def text_entries(
    config: CheckpointConfig, vocabulary: Vocabulary, chat: Chat, *, tied_head: bool
) -> Iterator[Entry]:
    """Text model, tokenizer, and how prompts are written."""
    yield from decoder_entries(config.decoder, tied_head=tied_head)
    yield from tokenizer_entries(vocabulary)
    for key, token in (("start", "<img>"), ("end", "</img>"), ("context", "<IMG_CONTEXT>")):
        yield f"crispvl.image.{key}_token_id", vocabulary.require(token), Kind.UINT32
    yield "crispvl.chat.template", chat.template, Kind.STRING
    yield "crispvl.chat.system_message", chat.system_message, Kind.STRING
    yield "crispvl.chat.stop_token_ids", list(chat.stop_ids), Kind.ARRAY
    if chat.jinja is not None:
        yield "tokenizer.chat_template", chat.jinja, Kind.STRING
    for name, prompt in chat.prompts.items():
        yield f"{PROMPT_PREFIX}{name}", prompt, Kind.STRING


def position_step_entries(step: float | None) -> list[Entry]:
    """How far an image token advances the position, where that is said.

    Raises:
        ValueError: The step is none of 1, 1/2 … 1/256.
    """
    if step is None:
        return []
    if step not in [2.0**-i for i in range(9)]:
        raise ValueError(
            f"[convert] expected an image position step of 1, 1/2, 1/4 … 1/256; found {step}; "
            "choose another"
        )
    return [("crispvl.image.position_step", step, Kind.FLOAT32)]


def strip_entries(strips: Mapping[str, int] | None) -> Iterator[Entry]:
    """How lines fill a tile, which is then how the model reads by default; None writes nothing."""
    if strips is None:
        return
    yield DEFAULT_LAYOUT_KEY, "lines", Kind.STRING
    for name, value in strips.items():
        yield STRIP_KEYS[name], value, Kind.UINT32


def decoder_entries(d: DecoderConfig, *, tied_head: bool) -> Iterator[Entry]:
    """The text model's sizes and switches."""
    for key, count in (
        ("vocab_size", d.vocab_size),
        ("context_length", d.context_length),
        ("embedding_length", d.width),
        ("feed_forward_length", d.d_mlp),
        ("block_count", d.n_layers),
        ("attention.head_count", d.n_heads),
        ("attention.head_count_kv", d.n_kv_heads),
        ("attention.key_length", d.d_head),
        ("attention.value_length", d.d_head),
        ("rope.dimension_count", d.d_head),
    ):
        yield f"{d.family.arch}.{key}", count, Kind.UINT32
    yield f"{d.family.arch}.attention.layer_norm_rms_epsilon", d.norm_epsilon, Kind.FLOAT32
    if d.window:
        yield f"{d.family.arch}.attention.sliding_window", d.window, Kind.UINT32
    yield "crispvl.decoder.sliding_layers", list(d.sliding_layers), Kind.ARRAY
    yield "crispvl.decoder.attention_sinks", d.family.sinks, Kind.BOOL
    yield "crispvl.decoder.mlp.gate", "clamped" if d.gate else "silu", Kind.STRING
    if d.gate:
        yield "crispvl.decoder.mlp.alpha", d.gate.alpha, Kind.FLOAT32
        yield "crispvl.decoder.mlp.limit", d.gate.limit, Kind.FLOAT32
    yield from _experts(d)
    yield "crispvl.decoder.qkv_bias", d.qkv_bias, Kind.BOOL
    yield "crispvl.decoder.attn_out_bias", d.attn_out_bias, Kind.BOOL
    yield "crispvl.decoder.mlp_bias", d.mlp_bias, Kind.BOOL
    yield "crispvl.decoder.qk_norm", d.family.qk_norm, Kind.STRING
    yield "crispvl.decoder.tied_head", tied_head, Kind.BOOL
    yield from _rope(d)


def _experts(d: DecoderConfig) -> Iterator[Entry]:
    if d.experts is None:
        return
    yield f"{d.family.arch}.expert_count", d.experts.n, Kind.UINT32
    yield f"{d.family.arch}.expert_used_count", d.experts.n_used, Kind.UINT32
    yield f"{d.family.arch}.expert_feed_forward_length", d.experts.d_mlp, Kind.UINT32
    yield "crispvl.decoder.experts.router_bias", d.experts.family.router_bias, Kind.BOOL
    yield "crispvl.decoder.experts.normalised", d.experts.normalised, Kind.BOOL


def _rope(d: DecoderConfig) -> Iterator[Entry]:
    theirs, ours, scaling = d.family.arch, "crispvl.decoder.rope.scaling", d.rope_scaling
    yield f"{theirs}.rope.freq_base", d.rope_theta, Kind.FLOAT32
    yield "crispvl.decoder.rope.layout", d.family.rope_layout, Kind.STRING
    yield f"{ours}.type", scaling.type, Kind.STRING
    if scaling.type in ("linear", "yarn", "longrope"):  # llama.cpp has no dynamic NTK
        yield f"{theirs}.rope.scaling.type", scaling.type, Kind.STRING
    if scaling.type in ("linear", "yarn"):
        yield f"{theirs}.rope.scaling.factor", scaling.factor, Kind.FLOAT32
    if scaling.type in ("linear", "dynamic", "yarn"):
        yield f"{ours}.factor", scaling.factor, Kind.FLOAT32
    if scaling.type in ("dynamic", "yarn", "longrope"):
        original = scaling.original_context_length
        yield f"{ours}.original_context_length", original, Kind.UINT32
    if scaling.type in ("yarn", "longrope"):
        yield f"{theirs}.rope.scaling.original_context_length", original, Kind.UINT32
        yield f"{ours}.attn_factor", scaling.attn_factor, Kind.FLOAT32
    if scaling.type == "longrope":
        yield f"{theirs}.rope.scaling.attn_factor", scaling.attn_factor, Kind.FLOAT32
    if scaling.type == "yarn":
        yield f"{theirs}.rope.scaling.yarn_beta_fast", scaling.beta_fast, Kind.FLOAT32
        yield f"{theirs}.rope.scaling.yarn_beta_slow", scaling.beta_slow, Kind.FLOAT32
        # llama.cpp multiplies by YaRN's logarithmic term itself.
        own = 0.1 * math.log(scaling.factor) + 1 if scaling.factor > 1 else 1.0
        yield f"{theirs}.rope.scaling.attn_factor", scaling.attn_factor / own, Kind.FLOAT32
        yield f"{ours}.beta_fast", scaling.beta_fast, Kind.FLOAT32
        yield f"{ours}.beta_slow", scaling.beta_slow, Kind.FLOAT32
        yield f"{ours}.truncate", scaling.truncate, Kind.BOOL


def tokenizer_entries(v: Vocabulary) -> Iterator[Entry]:
    """The vocabulary and its special tokens."""
    yield "tokenizer.ggml.model", v.model, Kind.STRING
    yield "tokenizer.ggml.pre", v.pre, Kind.STRING
    yield "tokenizer.ggml.tokens", v.tokens, Kind.ARRAY
    yield "tokenizer.ggml.token_type", v.types, Kind.ARRAY
    if v.scores:
        yield "tokenizer.ggml.scores", v.scores, Kind.ARRAY
    if v.merges:
        yield "tokenizer.ggml.merges", v.merges, Kind.ARRAY
    for key, token_id in (
        ("bos", v.bos_id),
        ("eos", v.eos_id),
        ("unknown", v.unk_id),
        ("padding", v.pad_id),
    ):
        if token_id is not None:
            yield f"tokenizer.ggml.{key}_token_id", token_id, Kind.UINT32
    yield "tokenizer.ggml.add_bos_token", v.add_bos, Kind.BOOL
    yield "tokenizer.ggml.add_eos_token", v.add_eos, Kind.BOOL
    yield "tokenizer.ggml.add_space_prefix", v.add_space_prefix, Kind.BOOL
    if v.strip_after:
        yield "crispvl.tokenizer.strip_after_ids", v.strip_after, Kind.ARRAY
    if v.prefix_at_start:
        yield "crispvl.tokenizer.prefix_at_start", True, Kind.BOOL
    if v.model == "llama":
        remove = v.remove_extra_whitespaces
        yield "tokenizer.ggml.remove_extra_whitespaces", remove, Kind.BOOL
    if v.precompiled_charsmap:
        yield "tokenizer.ggml.precompiled_charsmap", v.precompiled_charsmap, Kind.ARRAY
