"""llama.cpp's pair: a text model, and a projector with the encoder (``mmproj``).

As its ``convert_hf_to_gguf.py`` writes them: no switches, rows of q and k permuted for the
architectures whose rotary pairs are neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from foreign.parts import ForeignModel, Types, add_tensor, finish
from foreign.vocabulary import add_llamacpp_vocabulary

Tensors = Iterator[tuple[str, NDArray[np.float32]]]


def write_pair(
    model: ForeignModel,
    folder: Path,
    *,
    fused: bool = False,
    fused_experts: bool = False,
    tile_keys: bool = True,
    projector_type_key: str = "clip.projector_type",
    projector_type: str = "internvl",
    projector_name: str | None = None,
    types: Types | None = None,
    max_tensors: int = 0,
) -> tuple[Path, Path]:
    """Writes ``text.gguf`` and ``mmproj.gguf``.

    Args:
        model: The checkpoint.
        folder: Where to.
        fused: q, k and v in one tensor (``--fuse-qkv``).
        fused_experts: Gate and up of all experts in one tensor (``--fuse-gate-up-exps``).
        tile_keys: Whether the projector says how many tiles; files before 2026 do not.
        projector_type_key: Newer files use ``clip.vision.projector_type``.
        projector_type: Which projector it says it is.
        projector_name: ``general.name`` of the projector, where it differs from the text model's.
        types: Types of the matrices.
        max_tensors: Tensors in one part of the text model; 0 for one file.
    """
    name = "Tiny InternVL"
    text = folder / "text.gguf"
    writer = gguf.GGUFWriter(text, model.settings.config.decoder.family.arch,
                             split_max_tensors=max_tensors)  # fmt: skip
    writer.add_type("model")
    writer.add_name(name)
    _add_text_keys(writer, model)
    add_llamacpp_vocabulary(writer, model)
    is_phi3 = model.settings.config.decoder.family.arch == "phi3"
    tensors = _joined_mlp(_fused(_text_tensors(model), fused or is_phi3), is_phi3)
    for tensor_name, array in _joined_experts(tensors, fused_experts):
        add_tensor(writer, tensor_name, array, types or {})
    finish(writer)

    mmproj = folder / "mmproj.gguf"
    writer = gguf.GGUFWriter(mmproj, "clip")
    writer.add_type("mmproj")
    writer.add_name(projector_name or name)
    writer.add_string(projector_type_key, projector_type)
    _add_vision_keys(writer, model, tile_keys)
    for tensor_name, array in _fused(_vision_tensors(model), fused):
        add_tensor(writer, tensor_name, array, types or {})
    finish(writer)
    return (text if not max_tensors else first_part(folder)), mmproj


def first_part(folder: Path) -> Path:
    """The first of the parts of a split text model."""
    return min(folder.glob("text-00001-of-*.gguf"))


def _add_text_keys(writer: gguf.GGUFWriter, model: ForeignModel) -> None:
    d = model.settings.config.decoder
    writer.add_block_count(d.n_layers)
    writer.add_context_length(d.context_length)
    writer.add_embedding_length(d.width)
    writer.add_feed_forward_length(d.d_mlp)
    writer.add_head_count(d.n_heads)
    writer.add_head_count_kv(d.n_kv_heads)
    writer.add_rope_freq_base(d.rope_theta)
    writer.add_layer_norm_rms_eps(d.norm_epsilon)
    if d.d_head * d.n_heads != d.width:
        writer.add_key_length(d.d_head)
        writer.add_value_length(d.d_head)
    if d.family.arch == "llama":
        writer.add_rope_dimension_count(d.d_head)
        writer.add_vocab_size(d.vocab_size)
    if d.experts is not None:
        writer.add_expert_count(d.experts.n)
        writer.add_expert_used_count(d.experts.n_used)
        writer.add_expert_feed_forward_length(d.experts.d_mlp)
    if d.family.arch in ("gpt-oss", "phi3"):  # 0 where Phi-3 has none
        writer.add_sliding_window(d.window)
    scaling = d.rope_scaling
    if scaling.type == "longrope":
        writer.add_rope_scaling_orig_ctx_len(scaling.original_context_length)
        writer.add_rope_scaling_attn_factors(scaling.attn_factor)
    if scaling.type in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(scaling.type))
        writer.add_rope_scaling_factor(scaling.factor)
    if scaling.type == "yarn":
        writer.add_rope_scaling_orig_ctx_len(scaling.original_context_length)
        writer.add_rope_scaling_yarn_beta_fast(scaling.beta_fast)
        writer.add_rope_scaling_yarn_beta_slow(scaling.beta_slow)
        # Beside the logarithmic term, which llama.cpp computes itself.
        own = 0.1 * math.log(scaling.factor) + 1
        writer.add_rope_scaling_attn_factors(scaling.attn_factor / own)


def _add_vision_keys(writer: gguf.GGUFWriter, model: ForeignModel, tile_keys: bool) -> None:
    v, image = model.settings.config.vision, model.settings.config.image
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.use_gelu", True)
    for key, value in (
        ("image_size", v.tile_px),
        ("patch_size", v.patch_px),
        ("embedding_length", v.width),
        ("feed_forward_length", v.d_mlp),
        ("block_count", v.n_layers),
        ("attention.head_count", v.n_heads),
        ("projection_dim", model.settings.config.decoder.width),
        ("projector.scale_factor", 2),
    ):
        writer.add_uint32(f"clip.vision.{key}", value)
    if tile_keys:
        writer.add_uint32("clip.vision.preproc_min_tiles", image.min_tiles)
        writer.add_uint32("clip.vision.preproc_max_tiles", image.max_tiles)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", v.norm_epsilon)
    writer.add_array("clip.vision.image_mean", list(image.mean))
    writer.add_array("clip.vision.image_std", list(image.std))


def _text_tensors(model: ForeignModel) -> Tensors:
    d = model.settings.config.decoder
    scaling = d.rope_scaling
    yield from model.linear("token_embd", "decoder.embed")
    yield from model.linear("output_norm", "decoder.norm")
    if not model.settings.tied_head:
        yield from model.linear("output", "decoder.head")
    for i in range(d.n_layers):
        theirs, ours = f"blk.{i}", f"decoder.{i}"
        for part, n_heads in (("q", d.n_heads), ("k", d.n_kv_heads)):
            for name, array in model.linear(f"{theirs}.attn_{part}", f"{ours}.{part}"):
                yield name, _permuted(array, n_heads) if d.family.arch in _NEIGHBOURS else array
            yield from model.linear(f"{theirs}.attn_{part}_norm", f"{ours}.{part}_norm")
        yield from model.linear(f"{theirs}.attn_v", f"{ours}.v")
        yield from model.linear(f"{theirs}.attn_output", f"{ours}.out")
        yield from model.linear(f"{theirs}.attn_norm", f"{ours}.norm1")
        norm = "post_attention_norm" if d.family.arch == "gpt-oss" else "ffn_norm"
        yield from model.linear(f"{theirs}.{norm}", f"{ours}.norm2")
        yield from _mlp_tensors(model, theirs, ours)
    for name, factors in (
        ("rope_freqs" if scaling.type == "factors" else "rope_factors_short", scaling.divisors),
        ("rope_factors_long", scaling.long_divisors),
    ):
        if factors:
            yield f"{name}.weight", np.array(factors, np.float32)


def _mlp_tensors(model: ForeignModel, theirs: str, ours: str) -> Tensors:
    d = model.settings.config.decoder
    weights = model.reference.checkpoint.weights
    if d.experts is None:
        for part in ("gate", "up", "down"):
            yield from model.linear(f"{theirs}.ffn_{part}", f"{ours}.{part}")
        return
    if f"{ours}.sinks" in weights:
        yield f"{theirs}.attn_sinks.weight", model.array(f"{ours}.sinks")
    yield from model.linear(f"{theirs}.ffn_gate_inp", f"{ours}.router")
    for part in ("gate", "up", "down"):
        for kind, end in (("weight", ""), ("bias", "_bias")):
            names = [f"{ours}.expert.{e}.{part}{end}" for e in range(d.experts.n)]
            if names[0] in weights:
                stack = np.stack([model.array(name) for name in names])
                yield f"{theirs}.ffn_{part}_exps.{kind}", stack


_NEIGHBOURS = ("internlm2", "llama")


def _permuted(rows: NDArray[np.float32], n_heads: int) -> NDArray[np.float32]:
    """Both halves of each head interleaved; of a bias too."""
    halves = rows.reshape(n_heads, 2, rows.shape[0] // n_heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def _vision_tensors(model: ForeignModel) -> Tensors:
    v = model.settings.config.vision
    yield "v.class_embd", model.array("vision.class").reshape(1, 1, v.width)
    yield "v.position_embd.weight", model.array("vision.position")[None]
    kernel = model.array("vision.patch.weight")
    yield "v.patch_embd.weight", kernel.reshape(v.width, 3, v.patch_px, v.patch_px)
    yield "v.patch_embd.bias", model.array("vision.patch.bias")
    for i in range(v.n_layers):
        theirs, ours = f"v.blk.{i}", f"vision.{i}"
        for part in ("q", "k", "v"):
            yield from model.linear(f"{theirs}.attn_{part}", f"{ours}.{part}")
        for name, source in _VISION_MODULES:
            yield from model.linear(f"{theirs}.{name}", f"{ours}.{source}")
        for scale in (1, 2):
            yield f"{theirs}.ls{scale}.weight", model.array(f"{ours}.scale{scale}")
    for index, source in ((0, "norm"), (1, "fc1"), (3, "fc2")):
        yield from model.linear(f"mm.model.mlp.{index}", f"projector.{source}")


_VISION_MODULES = (
    ("ln1", "norm1"),
    ("ln2", "norm2"),
    ("attn_q_norm", "q_norm"),
    ("attn_k_norm", "k_norm"),
    ("attn_out", "out"),
    ("ffn_up", "fc1"),
    ("ffn_down", "fc2"),
)


def _joined_mlp(tensors: Tensors, joined: bool) -> Tensors:
    """The same tensors, or gate and up of each block stacked as ``ffn_up``."""
    gate: NDArray[np.float32] | None = None
    for name, array in tensors:
        if joined and name.endswith("ffn_gate.weight"):
            gate = array
        elif joined and gate is not None and name.endswith("ffn_up.weight"):
            yield name, np.concatenate([gate, array])
        else:
            yield name, array


def _joined_experts(tensors: Tensors, joined: bool) -> Tensors:
    """The same tensors, or each expert's rows of gate and of up stacked, weights and biases."""
    gates: dict[str, NDArray[np.float32]] = {}
    for name, array in tensors:
        if joined and "ffn_gate_exps" in name:
            gates[name] = array
        elif joined and "ffn_up_exps" in name:
            gate = gates[name.replace("up", "gate")]
            yield name.replace("up", "gate_up"), np.concatenate([gate, array], axis=1)
        else:
            yield name, array


def _fused(tensors: Tensors, fused: bool) -> Tensors:
    """The same tensors, or q, k and v of each block stacked in that order."""
    if not fused:
        yield from tensors
        return
    parts: dict[str, NDArray[np.float32]] = dict(tensors)
    for name, array in parts.items():
        block, _, rest = name.rpartition(".attn_")
        if rest in ("q.weight", "q.bias"):
            kind = rest.partition(".")[2]
            stack = [parts[f"{block}.attn_{part}.{kind}"] for part in ("q", "k", "v")]
            yield f"{block}.attn_qkv.{kind}", np.concatenate(stack)
        elif rest not in ("k.weight", "v.weight", "k.bias", "v.bias"):
            yield name, array
