"""CrispEmbed's single file, architecture ``internvl2``, as its two writers make it.

Neither permutes rows or stores switches. The converter (``native``) writes pieces by id and little
else of the tokenizer; the merger copies the tokenizer of a llama.cpp pair.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from foreign.parts import ForeignModel, Types, add_tensor, finish
from foreign.vocabulary import add_llamacpp_vocabulary

Tensors = Iterator[tuple[str, NDArray[np.float32]]]

_P = "internvl2."


def write_native(
    model: ForeignModel,
    path: Path,
    *,
    without: Collection[str] = (),
    chat_template: str = "internvl2_5",
    two_scales: bool = False,
    types: Types | None = None,
) -> Path:
    """Writes what its converter makes of a checkpoint.

    Args:
        model: The checkpoint.
        path: File to write.
        without: Keys that older versions did not write, or ``tokenizer`` for the whole vocabulary.
        chat_template: Name of the conversation format.
        two_scales: H2OVL's tiling (``use_msac``).
        types: Types of the matrices.
    """
    writer = _Writer(path, without)
    writer.add_name("Tiny InternVL")
    _add_sizes(writer, model)
    d = model.settings.config.decoder
    if d.rope_scaling.type != "none":
        writer.add_string(_P + "rope_scaling_type", d.rope_scaling.type)
        writer.add_float32(_P + "rope_scaling_factor", d.rope_scaling.factor)
    family = "llama" if d.family.arch == "llama" else d.family.arch
    writer.add_string(_P + "llm_model_type", family)
    writer.add_string(_P + "chat_template", chat_template)
    writer.add_bool(_P + "use_msac", two_scales)
    if "tokenizer" not in without:
        _add_native_vocabulary(writer, model)
    _add_tensors(writer, model, types or {})
    return path


def write_merged(model: ForeignModel, path: Path, *, types: Types | None = None) -> Path:
    """Writes what its merger makes of a llama.cpp pair."""
    writer = _Writer(path)
    writer.add_name("Tiny InternVL")
    writer.add_string("general.source", "merged from llama.cpp InternVL")
    _add_sizes(writer, model)
    add_llamacpp_vocabulary(writer, model)
    _add_tensors(writer, model, types or {})
    return path


class _Writer(gguf.GGUFWriter):
    """Leaves out some keys."""

    def __init__(self, path: Path, without: Collection[str] = ()) -> None:
        self._without = without
        super().__init__(path, "internvl2")

    def add_key_value(self, key: str, *args: object, **kwargs: object) -> None:
        if key.removeprefix(_P) not in self._without:
            super().add_key_value(key, *args, **kwargs)  # type: ignore[arg-type]


def _add_sizes(writer: gguf.GGUFWriter, model: ForeignModel) -> None:
    c = model.settings.config
    v, d = c.vision, c.decoder
    for key, value in (
        ("vision.num_hidden_layers", v.n_layers),
        ("vision.hidden_size", v.width),
        ("vision.intermediate_size", v.d_mlp),
        ("vision.num_attention_heads", v.n_heads),
        ("vision.patch_size", v.patch_px),
        ("vision.image_size", v.tile_px),
        ("vision.num_merged_tokens", (v.tile_px // v.patch_px // 2) ** 2),
        ("vision.merge_dim", 4 * v.width),
        ("min_dynamic_patch", c.image.min_tiles),
        ("max_dynamic_patch", c.image.max_tiles),
        ("vocab_size", d.vocab_size),
        ("hidden_size", d.width),
        ("intermediate_size", d.d_mlp),
        ("num_hidden_layers", d.n_layers),
        ("num_attention_heads", d.n_heads),
        ("num_key_value_heads", d.n_kv_heads),
        ("max_position_embeddings", d.rope_scaling.original_context_length or d.context_length),
    ):
        writer.add_uint32(_P + key, value)
    writer.add_float32(_P + "vision.layer_norm_eps", v.norm_epsilon)
    writer.add_bool(_P + "vision.qkv_bias", v.qkv_bias)
    writer.add_array(_P + "vision.image_mean", list(c.image.mean))
    writer.add_array(_P + "vision.image_std", list(c.image.std))
    writer.add_float32(_P + "downsample_ratio", 0.5)
    writer.add_string(_P + "ps_version", "v2")
    writer.add_bool(_P + "use_thumbnail", c.image.thumbnail)
    writer.add_float32(_P + "rms_norm_eps", d.norm_epsilon)
    writer.add_float32(_P + "rope_theta", d.rope_theta)
    writer.add_bool(_P + "tie_word_embeddings", model.settings.tied_head)
    writer.add_string(_P + "hidden_act", "silu")


def _add_native_vocabulary(writer: gguf.GGUFWriter, model: ForeignModel) -> None:
    v = model.settings.vocabulary
    n = max(i for i, token in enumerate(v.tokens) if not token.startswith("[PAD")) + 1
    tokens = ["" if token.startswith("[PAD") else token for token in v.tokens[:n]]
    writer.add_uint32(_P + "tokenizer.vocab_size", n)
    for role, token_id in (("bos", v.bos_id), ("eos", v.eos_id), ("pad", v.pad_id)):
        if token_id is not None:
            writer.add_uint32(f"{_P}tokenizer.{role}_id", token_id)
    writer.add_uint32(_P + "tokenizer.im_end_id", v.require("<|im_end|>"))
    writer.add_bool(_P + "tokenizer.add_bos_token", v.add_bos if v.bos_id is not None else True)
    writer.add_uint32(_P + "image_token_id", v.require("<IMG_CONTEXT>"))
    writer.add_array("tokenizer.ggml.tokens", tokens)
    if v.model == "llama":
        # It knows no score of an added token; ours have -1000, as in llama.cpp.
        scores = [s if s > -1000 else 0.0 for s in v.scores[:n]]
        writer.add_array("tokenizer.ggml.scores", scores)
        writer.add_array("tokenizer.ggml.token_type", [0] * n)


def _add_tensors(writer: gguf.GGUFWriter, model: ForeignModel, types: Types) -> None:
    for name, array in (*_vision_tensors(model), *_text_tensors(model)):
        add_tensor(writer, name, array, types)
    finish(writer)


def _vision_tensors(model: ForeignModel) -> Tensors:
    v = model.settings.config.vision
    kernel = model.array("vision.patch.weight")
    yield "v.patch_embed.weight", kernel.reshape(v.width, 3 * v.patch_px**2)
    yield "v.patch_embed.bias", model.array("vision.patch.bias")
    yield "v.class_embedding", model.array("vision.class").reshape(1, 1, v.width)
    yield "v.position_embedding", model.array("vision.position")[None]
    for i in range(v.n_layers):
        theirs, ours = f"v.blk.{i}", f"vision.{i}"
        for kind in ("weight", "bias"):
            stack = [model.array(f"{ours}.{part}.{kind}") for part in ("q", "k", "v")]
            yield f"{theirs}.attn_qkv.{kind}", np.concatenate(stack)
        for name, source in _VISION_MODULES:
            yield from model.linear(f"{theirs}.{name}", f"{ours}.{source}")
        for scale in (1, 2):
            yield f"{theirs}.ls{scale}", model.array(f"{ours}.scale{scale}")
    for name in ("norm", "fc1", "fc2"):
        yield from model.linear(f"v.proj.{name}", f"projector.{name}")


_VISION_MODULES = (
    ("norm1", "norm1"),
    ("norm2", "norm2"),
    ("attn_proj", "out"),
    ("ffn_fc1", "fc1"),
    ("ffn_fc2", "fc2"),
)


def _text_tensors(model: ForeignModel) -> Tensors:
    yield from model.linear("l.embed_tokens", "decoder.embed")
    for i in range(model.settings.config.decoder.n_layers):
        for name, source in _TEXT_MODULES:
            yield from model.linear(f"l.blk.{i}.{name}", f"decoder.{i}.{source}")
    yield from model.linear("l.output_norm", "decoder.norm")
    if not model.settings.tied_head:
        yield from model.linear("l.lm_head", "decoder.head")


_TEXT_MODULES = (
    ("attn_norm", "norm1"),
    ("ffn_norm", "norm2"),
    ("attn_q", "q"),
    ("attn_k", "k"),
    ("attn_v", "v"),
    ("attn_o", "out"),
    ("ffn_gate", "gate"),
    ("ffn_up", "up"),
    ("ffn_down", "down"),
)
