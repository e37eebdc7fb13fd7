"""A checkpoint folder as switches and float64 arrays, under names of the reference's own.

Reads both published layouts straight from ``config.json`` and safetensors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reference.mlp import ClampedGate, Experts
from reference.numbers import Array
from reference.rope_config import RopeConfig, rope_config


@dataclass(frozen=True)
class VisionConfig:
    """Switches and sizes of the encoder; ``mean`` and ``std`` of its input."""

    n_layers: int
    n_heads: int
    norm: str
    epsilon: float
    qk_norm: bool
    unshuffle: int
    mean: Array
    std: Array


@dataclass(frozen=True)
class DecoderConfig:
    """Switches and sizes of the text model."""

    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    epsilon: float
    qk_norm: bool
    windows: list[int]  # of each layer; 0: it sees all keys
    gate: ClampedGate | None
    experts: Experts | None
    tied_head: bool
    rope: RopeConfig


class Weights(Mapping[str, Array]):
    """Arrays by name, with a view on those under a prefix."""

    def __init__(self, arrays: Mapping[str, Array], prefix: str = "") -> None:
        self._arrays, self._prefix = arrays, prefix

    def scope(self, name: str) -> Weights:
        """The arrays below ``name.``."""
        return Weights(self._arrays, f"{self._prefix}{name}.")

    def __getitem__(self, name: str) -> Array:
        return self._arrays[self._prefix + name]

    def __iter__(self) -> Iterator[str]:
        n = len(self._prefix)
        return (name[n:] for name in self._arrays if name.startswith(self._prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class RouterConfig:
    """A tile is cut short above this quantile of all scores, from the absolute one on."""

    relative_threshold: float
    absolute_threshold: float


@dataclass(frozen=True)
class Checkpoint:
    """Everything a forward pass needs; ``router`` of InternVL3.5-Flash."""

    vision: VisionConfig
    router: RouterConfig | None
    decoder: DecoderConfig
    weights: Weights
    image_token_id: int


def load_checkpoint(folder: Path) -> Checkpoint:
    """Reads a folder in the OpenGVLab or the -hf layout."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    chat = "llm_config" in config
    text = config["llm_config" if chat else "text_config"]
    arrays = dict(_read_safetensors(folder / "model.safetensors"))
    decoder = _decoder_config(config, text, any(name.endswith(_HEADS) for name in arrays))
    vision = _vision_config(folder, config, chat)
    weights = _rename(arrays, text["model_type"], decoder)
    router = None
    if config.get("flash_mode"):
        router = RouterConfig(
            config["flash_relative_threshold"], config["flash_absolute_threshold"]
        )
    return Checkpoint(vision, router, decoder, Weights(weights), _image_token_id(folder, config))


def _vision_config(folder: Path, config: dict[str, Any], chat: bool) -> VisionConfig:
    vision = config["vision_config"]
    last = config.get("select_layer" if chat else "vision_feature_layer", -1)
    n_layers = vision["num_hidden_layers"]
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    if not chat and (folder / "preprocessor_config.json").is_file():
        processor = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
        mean, std = processor.get("image_mean", mean), processor.get("image_std", std)
    return VisionConfig(
        n_layers=last if last >= 0 else n_layers + 1 + last,
        n_heads=vision["num_attention_heads"],
        norm=vision["norm_type"],
        epsilon=vision["layer_norm_eps"],
        qk_norm=vision["qk_normalization" if chat else "use_qk_norm"],
        unshuffle=round(1 / config["downsample_ratio"]),
        mean=np.array(mean),
        std=np.array(std),
    )


def _decoder_config(config: dict[str, Any], text: dict[str, Any], has_head: bool) -> DecoderConfig:
    n_heads = text["num_attention_heads"]
    tied = bool(text.get("tie_word_embeddings") or config.get("tie_word_embeddings"))
    return DecoderConfig(
        n_layers=text["num_hidden_layers"],
        n_heads=n_heads,
        n_kv_heads=text["num_key_value_heads"],
        d_head=text.get("head_dim") or text["hidden_size"] // n_heads,
        epsilon=text["rms_norm_eps"],
        qk_norm=text["model_type"] in ("qwen3", "qwen3_moe"),
        windows=_windows(text),
        gate=_gate(text),
        experts=_experts(text),
        tied_head=tied and not has_head,
        rope=rope_config(text),
    )


def _windows(text: dict[str, Any]) -> list[int]:
    family, window = text["model_type"], text.get("sliding_window") or 0
    n = text["num_hidden_layers"]
    if family.startswith("qwen") and not text.get("use_sliding_window"):
        return [0] * n
    named = text.get("layer_types")
    if named:
        return [window if kind == "sliding_attention" else 0 for kind in named]
    if family.startswith("qwen"):
        return [window if i >= text["max_window_layers"] else 0 for i in range(n)]
    if family in ("mistral", "phi3"):
        return [window] * n
    return [window if family == "gpt_oss" and i % 2 == 0 else 0 for i in range(n)]


def _gate(text: dict[str, Any]) -> ClampedGate | None:
    if text["model_type"] != "gpt_oss":
        return None
    return ClampedGate(text.get("swiglu_alpha", 1.702), text.get("swiglu_limit", 7.0))


def _experts(text: dict[str, Any]) -> Experts | None:
    if "num_experts_per_tok" not in text:
        return None
    normalised = text.get("norm_topk_prob", text["model_type"] == "gpt_oss")
    return Experts(text["num_experts_per_tok"], normalised)


def _image_token_id(folder: Path, config: dict[str, Any]) -> int:
    if "image_token_id" in config:
        return int(config["image_token_id"])
    return int(json.loads((folder / "added_tokens.json").read_text("utf-8"))["<IMG_CONTEXT>"])


def _read_safetensors(path: Path) -> Iterator[tuple[str, Array]]:
    data = path.read_bytes()
    n_header = int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8 : 8 + n_header]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + n_header + offset for offset in entry["data_offsets"])
        raw = data[begin:end]
        if entry["dtype"] == "BF16":
            values = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
        else:
            values = np.frombuffer(raw, {"F32": "<f4", "F16": "<f2"}[entry["dtype"]])
        yield name, values.reshape(entry["shape"]).astype(np.float64)


_HEADS = ("lm_head.weight", "language_model.output.weight")

# (pattern in the checkpoint, name here); the first match counts.
_NAMES: list[tuple[str, str]] = [
    (r"mlp2\.", r"small."),
    (r"pooling_before_gating\.", r"pool."),
    (r"^gating\.", r"gating."),
    (r"vision_model\.embeddings\.patch_embedding\.", r"vision.patch."),
    (r"vision_model\.embeddings\.class_embedding", r"vision.class"),
    (r"vision_model\.embeddings\.position_embedding", r"vision.position"),
    (r"vision_model\.encoder\.layers\.(\d+)\.ls(\d)", r"vision.\1.scale\2"),
    (r"vision_model\.encoder\.layers\.(\d+)\.attn\.proj\.", r"vision.\1.out."),
    (r"vision_model\.encoder\.layers\.(\d+)\.(?:attn|mlp)\.", r"vision.\1."),
    (r"vision_model\.encoder\.layers\.(\d+)\.", r"vision.\1."),
    (r"mlp1\.0\.", r"projector.norm."),
    (r"mlp1\.1\.", r"projector.fc1."),
    (r"mlp1\.3\.", r"projector.fc2."),
    (r"vision_tower\.embeddings\.patch_embeddings\.projection\.", r"vision.patch."),
    (r"vision_tower\.embeddings\.cls_token", r"vision.class"),
    (r"vision_tower\.embeddings\.position_embeddings", r"vision.position"),
    (r"vision_tower\.encoder\.layer\.(\d+)\.lambda_(\d)", r"vision.\1.scale\2"),
    (r"vision_tower\.encoder\.layer\.(\d+)\.layernorm_before\.", r"vision.\1.norm1."),
    (r"vision_tower\.encoder\.layer\.(\d+)\.layernorm_after\.", r"vision.\1.norm2."),
    (r"vision_tower\.encoder\.layer\.(\d+)\.attention\.projection_layer\.", r"vision.\1.out."),
    (r"vision_tower\.encoder\.layer\.(\d+)\.attention\.([qkv])_proj\.", r"vision.\1.\2."),
    (r"vision_tower\.encoder\.layer\.(\d+)\.(?:attention|mlp)\.", r"vision.\1."),
    (r"multi_modal_projector\.layer_norm\.", r"projector.norm."),
    (r"multi_modal_projector\.linear_([12])\.", r"projector.fc\1."),
    (r"language_model\.(?:model\.)?(?:embed_tokens|tok_embeddings)\.", r"decoder.embed."),
    (r"(?:lm_head|language_model\.output)\.", r"decoder.head."),
    (r"language_model\.(?:model\.)?norm\.", r"decoder.norm."),
    (r"layers\.(\d+)\.(?:self_attn\.o_proj|attention\.wo)\.", r"decoder.\1.out."),
    (r"layers\.(\d+)\.self_attn\.([qkv])_proj\.", r"decoder.\1.\2."),
    (r"layers\.(\d+)\.self_attn\.qkv_proj\.", r"decoder.\1.joined_qkv."),
    (r"layers\.(\d+)\.mlp\.gate_up_proj\.", r"decoder.\1.joined_mlp."),
    (r"layers\.(\d+)\.mlp\.(?:router|gate)\.(?=weight|bias)", r"decoder.\1.router."),
    (r"layers\.(\d+)\.mlp\.experts\.(\d+)\.(\w+)_proj\.weight", r"decoder.\1.expert.\2.\3"),
    (r"layers\.(\d+)\.mlp\.experts\.", r"decoder.\1.experts."),
    (r"layers\.(\d+)\.self_attn\.", r"decoder.\1."),
    (r"layers\.(\d+)\.(?:input_layernorm|attention_norm)\.", r"decoder.\1.norm1."),
    (r"layers\.(\d+)\.(?:post_attention_layernorm|ffn_norm)\.", r"decoder.\1.norm2."),
    (r"layers\.(\d+)\.mlp\.(gate|up|down)_proj\.", r"decoder.\1.\2."),
    (r"layers\.(\d+)\.attention\.wqkv\.", r"decoder.\1.wqkv."),
    (r"layers\.(\d+)\.feed_forward\.w1\.", r"decoder.\1.gate."),
    (r"layers\.(\d+)\.feed_forward\.w2\.", r"decoder.\1.down."),
    (r"layers\.(\d+)\.feed_forward\.w3\.", r"decoder.\1.up."),
]


def _rename(arrays: Mapping[str, Array], family: str, c: DecoderConfig) -> dict[str, Array]:
    renamed: dict[str, Array] = {}
    for stored, array in arrays.items():
        name = next(
            re.sub(f"^.*{pattern}", new, stored)
            for pattern, new in _NAMES
            if re.search(pattern, stored)
        )
        if name in ("vision.class", "vision.position"):
            renamed[name] = array.reshape(-1, array.shape[-1]).squeeze()
        elif ".qkv." in name:
            parts = np.split(array, 3)
            renamed.update({name.replace("qkv", n): p for n, p in zip("qkv", parts, strict=True)})
        elif ".wqkv." in name:
            renamed.update(_split_wqkv(name, array, c))
        elif ".joined_qkv." in name:
            sizes = np.cumsum([c.n_heads * c.d_head, c.n_kv_heads * c.d_head])
            parts = np.split(array, sizes)
            renamed.update(
                {name.replace("joined_qkv", n): p for n, p in zip("qkv", parts, strict=True)}
            )
        elif ".joined_mlp." in name:
            for n, part in zip(("gate", "up"), np.split(array, 2), strict=True):
                renamed[name.replace("joined_mlp", n)] = part
        elif ".experts." in name:
            renamed.update(_split_experts(name, array))
        else:
            renamed[name] = array
    return renamed


def _split_experts(name: str, array: Array) -> dict[str, Array]:
    """gpt-oss: all experts in one array, matrices transposed, gate and up columns by turns."""
    block, _, kind = name.partition(".experts.")
    end = "_bias" if kind.endswith("_bias") else ""
    split: dict[str, Array] = {}
    for e, stored in enumerate(array):
        parts = {"down": stored}
        if kind.startswith("gate_up"):
            parts = {"gate": stored[..., 0::2], "up": stored[..., 1::2]}
        for part, values in parts.items():
            split[f"{block}.expert.{e}.{part}{end}"] = values if end else values.T
    return split


def _split_wqkv(name: str, array: Array, c: DecoderConfig) -> dict[str, Array]:
    """InternLM2: per key/value head its queries, then the key, then the value."""
    n_queries = c.n_heads // c.n_kv_heads
    groups = array.reshape(c.n_kv_heads, n_queries + 2, c.d_head, *array.shape[1:])
    parts = {"q": groups[:, :n_queries], "k": groups[:, n_queries], "v": groups[:, n_queries + 1]}
    return {
        name.replace("wqkv", n): part.reshape(-1, *array.shape[1:]) for n, part in parts.items()
    }
