"""Writes a row's checkpoint: config, tokenizer and random weights under the published names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiny.chat_config import chat_config
from tiny.rows import Row
from tiny.tokenizer import write_tokenizer
from tiny.weights import tensor_shapes

TILE_PX = 56
PATCH_PX = 14
VISION = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
VISION_MLP = 96
TEXT = {"hidden_size": 64, "num_attention_heads": 4}
TEXT_MLP = 96
VOCAB_SIZE = 352


def make_checkpoint(row: Row, folder: Path, seed: int = 0) -> Path:
    """Writes the checkpoint into a new folder and returns it."""
    folder.mkdir(parents=True)
    special = write_tokenizer(folder, row.tokenizer)
    _write_json(folder / "config.json", config(row, special))
    if row.layout != "chat":
        _write_json(
            folder / "preprocessor_config.json",
            {"min_patches": 1, "max_patches": 4, "image_mean": [0.5, 0.4, 0.3],
             "image_std": [0.2, 0.25, 0.3]},
        )  # fmt: skip
    write_safetensors(folder / "model.safetensors", dict(random_tensors(row, seed)), row.dtype)
    return folder


def config(row: Row, special: dict[str, int]) -> dict[str, Any]:
    """``config.json`` of a row."""
    text = {
        "model_type": row.family,
        "vocab_size": VOCAB_SIZE,
        "intermediate_size": TEXT_MLP,
        "num_hidden_layers": row.n_layers,
        "num_key_value_heads": row.n_kv_heads,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "eos_token_id": special["<|im_end|>"],
        "pad_token_id": special["<|im_end|>"],  # transformers' Phi-3 has one beyond 352 tokens
        "tie_word_embeddings": row.tied_head,
        **TEXT,
    }
    if "rope_parameters" not in row.text:
        text |= {"rope_theta": 10000.0, "rope_scaling": None}
    if row.family in ("qwen3", "qwen3_moe", "internlm3", "llama", "mistral", "gpt_oss"):
        text["head_dim"] = row.d_head
    text |= row.text
    vision = {"intermediate_size": VISION_MLP, "norm_type": row.norm, "layer_norm_eps": 1e-6}
    vision |= {"hidden_act": "gelu", **VISION}
    if row.layout == "chat":
        vision |= {"image_size": TILE_PX, "patch_size": PATCH_PX}
        vision |= {"qk_normalization": row.qk_norm, "qkv_bias": row.qkv_bias}
        outer = chat_config(
            vision,
            text,
            force_image_size=TILE_PX,
            max_dynamic_patch=4,
            use_thumbnail=row.thumbnail,
        )
    else:
        vision |= {"image_size": [TILE_PX, TILE_PX], "patch_size": [PATCH_PX, PATCH_PX]}
        vision |= {"use_qk_norm": row.qk_norm, "attention_bias": row.qkv_bias}
        outer = {
            "model_type": "internvl",
            "vision_config": vision,
            "text_config": text,
            "downsample_ratio": 0.5,
            "image_token_id": special["<IMG_CONTEXT>"],
            "vision_feature_layer": -1,
        }
    return {**outer, **row.extra}


def random_tensors(row: Row, seed: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Weights of a scale at which every one of them changes the result visibly."""
    rng = np.random.default_rng(seed)
    for name, shape in tensor_shapes(row):
        noise = rng.standard_normal(shape, np.float32)
        residual = "embedding" in name or "cls_token" in name or "ls" in name or "lambda" in name
        dim = 0.005 if row.faint and residual and not name.startswith("language") else 1.0
        yield name, noise_to_weight(name, noise) * np.float32(dim)


def noise_to_weight(name: str, noise: NDArray[np.float32]) -> NDArray[np.float32]:
    """Standard normal numbers to a weight of usual size: matrices keep the size of their input."""
    shape = noise.shape
    if "experts." in name and len(shape) == 3:  # [expert, input, output]
        return noise / np.float32(np.sqrt(shape[1]))
    if len(shape) > 1 and 1 not in shape:
        return noise / np.float32(np.sqrt(np.prod(shape[1:])))
    if name.endswith("mlp1.0.weight") or ("norm" in name and name.endswith("weight")):
        return 1 + noise / 4
    if "ls" in name or "lambda" in name:
        return (1 + noise / 4) / 2
    return noise / 4


def write_safetensors(path: Path, tensors: dict[str, NDArray[np.float32]], dtype: str) -> None:
    """Writes float32 arrays in the type asked for; bfloat16 by rounding to nearest even."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    blobs: list[bytes] = []
    at = 0
    for name, array in tensors.items():
        blob = _to_bytes(array, dtype)
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [at, at + len(blob)],
        }
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def _to_bytes(array: NDArray[np.float32], dtype: str) -> bytes:
    if dtype == "F16":
        return array.astype("<f2").tobytes()
    if dtype == "BF16":
        bits = array.astype("<f4").view("<u4").astype(np.uint64)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()
    return array.astype("<f4").tobytes()


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1), "utf-8")
