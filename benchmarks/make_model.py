#!/usr/bin/env python3
"""Writes InternVL models of full size with random weights, for speed and memory only.

    python benchmarks/make_model.py 1b --out DIR --types q8_0 q4_k_m --vision f16

The checkpoint in ``DIR/1b`` has the -hf layout, which transformers loads; beside it are the pairs
of GGUF files that crispvl's own converter and quantiser make of it. What such a model says is
noise. Nothing is held in memory but a part of one tensor.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from crispvl.convert import convert_checkpoint
from crispvl.quantize import quantize_file

TEXT_TYPES = ("f16", "bf16", "q8_0", "q4_k_m", "q4_0")
VISION_TYPES = ("f16", "bf16", "q8_0")
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>")
PATCH_PX = 14
_CHUNK = 1 << 22  # weights drawn at a time
_STD = 0.02  # of every weight that is not a norm's

_QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

Shapes = Iterator[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True, kw_only=True)
class Tower:
    """Sizes of one stack of transformer layers."""

    layers: int
    width: int
    heads: int
    mlp: int


@dataclass(frozen=True, kw_only=True)
class Experts:
    """A mixture of experts in place of each MLP: how many, how many of them a token has, width."""

    n: int
    used: int
    mlp: int


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Sizes of a model: InternViT with a Qwen2 text model, or Qwen3's mixture of experts.

    Attributes:
        kv_heads: Key/value heads of the text model.
        d_head: Width of its heads.
        experts: None for Qwen2.
        vocab: Rows of the embedding.
        tile_px: Side of a tile.
        context: Positions in tokens.
    """

    vision: Tower
    text: Tower
    kv_heads: int
    d_head: int
    vocab: int
    experts: Experts | None = None
    tile_px: int = 448
    context: int = 32768


_VIT_300M = Tower(layers=24, width=1024, heads=16, mlp=4096)
KINDS = {
    "1b": Kind(  # InternVL3-1B
        vision=_VIT_300M, text=Tower(layers=24, width=896, heads=14, mlp=4864),
        kv_heads=2, d_head=64, vocab=151674,
    ),
    "2b": Kind(  # InternVL3-2B
        vision=_VIT_300M, text=Tower(layers=28, width=1536, heads=12, mlp=8960),
        kv_heads=2, d_head=128, vocab=151674,
    ),
    "moe": Kind(  # InternVL3.5-30B-A3B, two of its 48 layers and a part of its vocabulary
        vision=_VIT_300M, text=Tower(layers=2, width=2048, heads=32, mlp=6144),
        kv_heads=4, d_head=128, vocab=32000, experts=Experts(n=128, used=8, mlp=768),
    ),
}  # fmt: skip


def write_checkpoint(kind: Kind, folder: Path) -> None:
    """Writes config, tokenizer, preprocessor and bfloat16 weights into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    special = {text: 257 + i for i, text in enumerate(SPECIAL_TOKENS)}
    for name, content in (
        ("config.json", _config(kind, special)),
        ("preprocessor_config.json", _preprocessor(kind)),
        ("tokenizer.json", _tokenizer(special)),
        ("tokenizer_config.json", {
            "tokenizer_class": "Qwen2Tokenizer", "bos_token": None,
            "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
        }),
    ):  # fmt: skip
        (folder / name).write_text(json.dumps(content, indent=1), "utf-8")
    _write_weights(folder / "model.safetensors", list(tensor_shapes(kind)))


def write_pairs(
    checkpoint: Path, types: Sequence[str], vision_types: Sequence[str]
) -> dict[str, Path]:
    """Converts a checkpoint to files ``NAME-TYPE.gguf`` and ``mmproj-NAME-TYPE.gguf`` beside it.

    Returns:
        The files by name, those asked for only.
    """
    text = checkpoint.with_name(f"{checkpoint.name}-bf16.gguf")
    mmproj = text.with_name(f"mmproj-{text.name}")
    convert_checkpoint(checkpoint, text, "bf16", "pair")
    files = {}
    for source, wanted in ((text, types), (mmproj, vision_types)):
        for kind in wanted:
            path = source.with_name(source.name.replace("-bf16", f"-{kind}"))
            if path != source:
                quantize_file(source, path, kind)
            files[path.name] = path
        if source.name not in files:
            source.unlink()
    return files


def tensor_shapes(kind: Kind) -> Shapes:
    """Every tensor under its published name, numpy order."""
    yield from _vision(kind)
    yield from _projector(kind.vision.width, kind.text.width)
    yield from _text(kind)


def _vision(kind: Kind) -> Shapes:
    d, root = kind.vision.width, "vision_tower.embeddings"
    yield f"{root}.cls_token", (1, 1, d)
    yield f"{root}.position_embeddings", (1, (kind.tile_px // PATCH_PX) ** 2 + 1, d)
    yield f"{root}.patch_embeddings.projection.weight", (d, 3, PATCH_PX, PATCH_PX)
    yield f"{root}.patch_embeddings.projection.bias", (d,)
    for i in range(kind.vision.layers):
        block = f"vision_tower.encoder.layer.{i}"
        yield from _norm(f"{block}.layernorm_before", d)
        yield from _norm(f"{block}.layernorm_after", d)
        for part in ("q_proj", "k_proj", "v_proj", "projection_layer"):
            yield from _linear(f"{block}.attention.{part}", d, d)
        yield from _linear(f"{block}.mlp.fc1", kind.vision.mlp, d)
        yield from _linear(f"{block}.mlp.fc2", d, kind.vision.mlp)
        yield f"{block}.lambda_1", (d,)
        yield f"{block}.lambda_2", (d,)


def _projector(d_in: int, d_out: int) -> Shapes:
    yield from _norm("multi_modal_projector.layer_norm", 4 * d_in)
    yield from _linear("multi_modal_projector.linear_1", d_out, 4 * d_in)
    yield from _linear("multi_modal_projector.linear_2", d_out, d_out)


def _text(kind: Kind) -> Shapes:
    d, root = kind.text.width, "language_model.model"
    d_q, d_kv = kind.text.heads * kind.d_head, kind.kv_heads * kind.d_head
    yield f"{root}.embed_tokens.weight", (kind.vocab, d)
    for i in range(kind.text.layers):
        block = f"{root}.layers.{i}"
        yield f"{block}.input_layernorm.weight", (d,)
        for part, d_out in (("q_proj", d_q), ("k_proj", d_kv), ("v_proj", d_kv)):
            yield f"{block}.self_attn.{part}.weight", (d_out, d)
            if kind.experts is None:
                yield f"{block}.self_attn.{part}.bias", (d_out,)
        if kind.experts is not None:
            yield f"{block}.self_attn.q_norm.weight", (kind.d_head,)
            yield f"{block}.self_attn.k_norm.weight", (kind.d_head,)
        yield f"{block}.self_attn.o_proj.weight", (d, d_q)
        yield f"{block}.post_attention_layernorm.weight", (d,)
        if kind.experts is None:
            yield from _gated_mlp(f"{block}.mlp", d, kind.text.mlp)
            continue
        yield f"{block}.mlp.gate.weight", (kind.experts.n, d)
        for e in range(kind.experts.n):
            yield from _gated_mlp(f"{block}.mlp.experts.{e}", d, kind.experts.mlp)
    yield f"{root}.norm.weight", (d,)
    yield "language_model.lm_head.weight", (kind.vocab, d)


def _gated_mlp(name: str, d: int, d_mlp: int) -> Shapes:
    yield f"{name}.gate_proj.weight", (d_mlp, d)
    yield f"{name}.up_proj.weight", (d_mlp, d)
    yield f"{name}.down_proj.weight", (d, d_mlp)


def _linear(name: str, d_out: int, d_in: int) -> Shapes:
    yield f"{name}.weight", (d_out, d_in)
    yield f"{name}.bias", (d_out,)


def _norm(name: str, d: int) -> Shapes:
    yield f"{name}.weight", (d,)
    yield f"{name}.bias", (d,)


def _write_weights(path: Path, shapes: Sequence[tuple[str, tuple[int, ...]]]) -> None:
    """One safetensors file: a length, a JSON header, then the tensors' bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes:
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes:
            mean = float("norm" in name and name.endswith("weight"))
            for n in _chunks(math.prod(shape)):
                values = random.standard_normal(n, np.float32) * np.float32(_STD) + np.float32(mean)
                # The upper half of a float32 is a bfloat16, rounded towards zero.
                file.write((values.view(np.uint32) >> 16).astype("<u2").tobytes())


def _chunks(n: int) -> Iterator[int]:
    for start in range(0, n, _CHUNK):
        yield min(_CHUNK, n - start)


def _config(kind: Kind, special: dict[str, int]) -> dict[str, Any]:
    v, t = kind.vision, kind.text
    vision = {
        "model_type": "internvl_vision", "hidden_size": v.width, "num_hidden_layers": v.layers,
        "num_attention_heads": v.heads, "intermediate_size": v.mlp, "hidden_act": "gelu",
        "image_size": [kind.tile_px, kind.tile_px], "patch_size": [PATCH_PX, PATCH_PX],
        "attention_bias": True, "use_qk_norm": False, "norm_type": "layer_norm",
        "layer_norm_eps": 1e-6,
    }  # fmt: skip
    text = {
        "model_type": "qwen2", "hidden_size": t.width, "num_hidden_layers": t.layers,
        "num_attention_heads": t.heads, "num_key_value_heads": kind.kv_heads,
        "intermediate_size": t.mlp, "hidden_act": "silu", "vocab_size": kind.vocab,
        "max_position_embeddings": kind.context, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
        "tie_word_embeddings": False, "eos_token_id": special["<|im_end|>"],
        "head_dim": kind.d_head,
    }  # fmt: skip
    if kind.experts is not None:
        text |= {
            "model_type": "qwen3_moe", "num_experts": kind.experts.n,
            "num_experts_per_tok": kind.experts.used, "norm_topk_prob": True,
            "moe_intermediate_size": kind.experts.mlp,
        }  # fmt: skip
    return {
        "model_type": "internvl", "architectures": ["InternVLForConditionalGeneration"],
        "vision_config": vision, "text_config": text, "dtype": "bfloat16",
        "downsample_ratio": 0.5, "image_seq_length": (kind.tile_px // PATCH_PX // 2) ** 2,
        "image_token_id": special["<IMG_CONTEXT>"], "vision_feature_layer": -1,
        "tie_word_embeddings": False,
    }  # fmt: skip


def _preprocessor(kind: Kind) -> dict[str, Any]:
    return {
        "image_processor_type": "GotOcr2ImageProcessor",
        "size": {"height": kind.tile_px, "width": kind.tile_px},
        "min_patches": 1, "max_patches": 12, "crop_to_patches": True,
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
    }  # fmt: skip


def _tokenizer(special: dict[str, int]) -> dict[str, Any]:
    """Bytes, the one merge without which llama.cpp loads no such tokenizer, and special tokens.

    The converter names the embedding's other rows as padding.
    """
    tokens = [*_bytes(), "Ġt"]
    added = [{"id": i, "content": text, "special": True} for text, i in special.items()]
    split = {"type": "Split", "pattern": {"Regex": _QWEN2_SPLIT}, "behavior": "Isolated"}
    return {
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {**split, "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ],
        },
        "decoder": {"type": "ByteLevel"},
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [["Ġ", "t"]],
        },
    }  # fmt: skip


def _bytes() -> list[str]:
    """The printable character that stands for each byte in byte-level BPE."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = iter(range(256, 512))
    return [chr(b if b in printable else next(hidden)) for b in range(256)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes what the command line asks for and prints the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--types", nargs="+", choices=TEXT_TYPES, default=["q8_0"])
    parser.add_argument("--vision", nargs="+", choices=VISION_TYPES, default=["f16"])
    args = parser.parse_args(arguments)
    checkpoint = args.out / args.kind
    print(f"… checkpoint {checkpoint}", file=sys.stderr)
    write_checkpoint(KINDS[args.kind], checkpoint)
    print("… GGUF files", file=sys.stderr)
    print(checkpoint, *write_pairs(checkpoint, args.types, args.vision).values(), sep="\n")


if __name__ == "__main__":
    main()
