"""Text model families, one row each: names in the checkpoint, architecture in the file, switches.

A new family is a new row. Names on the left are llama.cpp's, ``{i}`` is the layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crispvl.errors import ModelFileError

_COMMON_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "blk.{i}.attn_norm": "model.layers.{i}.input_layernorm",
    "blk.{i}.attn_q": "model.layers.{i}.self_attn.q_proj",
    "blk.{i}.attn_k": "model.layers.{i}.self_attn.k_proj",
    "blk.{i}.attn_v": "model.layers.{i}.self_attn.v_proj",
    "blk.{i}.attn_q_norm": "model.layers.{i}.self_attn.q_norm",
    "blk.{i}.attn_k_norm": "model.layers.{i}.self_attn.k_norm",
    "blk.{i}.attn_output": "model.layers.{i}.self_attn.o_proj",
    "blk.{i}.ffn_norm": "model.layers.{i}.post_attention_layernorm",
    "blk.{i}.ffn_gate": "model.layers.{i}.mlp.gate_proj",
    "blk.{i}.ffn_up": "model.layers.{i}.mlp.up_proj",
    "blk.{i}.ffn_down": "model.layers.{i}.mlp.down_proj",
}

# q, k and v are rows of one matrix: per group of heads that share a key, the group's queries,
# then its key, then its value.
_INTERNLM2_NAMES = {
    "token_embd": "model.tok_embeddings",
    "output_norm": "model.norm",
    "output": "output",
    "blk.{i}.attn_norm": "model.layers.{i}.attention_norm",
    "blk.{i}.attn_q": "model.layers.{i}.attention.wqkv",
    "blk.{i}.attn_k": "model.layers.{i}.attention.wqkv",
    "blk.{i}.attn_v": "model.layers.{i}.attention.wqkv",
    "blk.{i}.attn_output": "model.layers.{i}.attention.wo",
    "blk.{i}.ffn_norm": "model.layers.{i}.ffn_norm",
    "blk.{i}.ffn_gate": "model.layers.{i}.feed_forward.w1",
    "blk.{i}.ffn_up": "model.layers.{i}.feed_forward.w3",
    "blk.{i}.ffn_down": "model.layers.{i}.feed_forward.w2",
}


@dataclass(frozen=True, kw_only=True)
class TextFamily:
    """How one ``model_type`` of a text model is stored and what it computes.

    Attributes:
        arch: ``general.architecture`` of the file.
        names: Module name in the file to module name in the checkpoint.
        fused_qkv: q, k and v are interleaved rows of one matrix.
        rope_layout: ``half`` keeps q/k rows; ``interleaved`` permutes them as llama.cpp expects
            for the architecture.
        qk_norm: ``none`` or ``per_head``.
        qkv_bias, attn_out_bias, mlp_bias: Config keys that say so, the first present one counts;
            a bool where the family leaves no choice.
        defaults: What the published model class assumes when ``config.json`` leaves a key out.
    """

    arch: str
    names: Mapping[str, str] = field(default_factory=lambda: dict(_COMMON_NAMES))
    fused_qkv: bool = False
    rope_layout: str = "half"
    qk_norm: str = "none"
    qkv_bias: tuple[str, ...] | bool = False
    attn_out_bias: tuple[str, ...] | bool = False
    mlp_bias: tuple[str, ...] | bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


_COMMON_DEFAULTS: dict[str, Any] = {
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}

FAMILIES: Mapping[str, TextFamily] = {
    "qwen2": TextFamily(arch="qwen2", qkv_bias=True, defaults=_COMMON_DEFAULTS),
    "qwen3": TextFamily(
        arch="qwen3",
        qk_norm="per_head",
        qkv_bias=("attention_bias",),
        attn_out_bias=("attention_bias",),
        defaults={**_COMMON_DEFAULTS, "head_dim": 128, "attention_bias": False},
    ),
    "internlm2": TextFamily(
        arch="internlm2",
        names=_INTERNLM2_NAMES,
        fused_qkv=True,
        rope_layout="interleaved",
        qkv_bias=("bias",),
        attn_out_bias=("bias",),
        defaults={**_COMMON_DEFAULTS, "bias": True},
    ),
    "internlm3": TextFamily(
        arch="llama",
        rope_layout="interleaved",
        qkv_bias=("qkv_bias", "attention_bias"),
        attn_out_bias=("bias", "attention_bias"),
        mlp_bias=("bias", "mlp_bias"),
        defaults=_COMMON_DEFAULTS,
    ),
    # What the -hf checkpoints of InternLM2 and InternLM3 sizes call themselves.
    "llama": TextFamily(
        arch="llama",
        rope_layout="interleaved",
        qkv_bias=("attention_bias",),
        attn_out_bias=("attention_bias",),
        mlp_bias=("mlp_bias",),
        defaults=_COMMON_DEFAULTS,
    ),
}


def text_family(model_type: str, where: str) -> TextFamily:
    """The row of ``model_type``.

    Raises:
        ModelFileError: The family is not known; the message lists those that are.
    """
    try:
        return FAMILIES[model_type]
    except KeyError:
        raise ModelFileError(
            f"[{where}] expected the model_type of a text model to be one of "
            f"{', '.join(FAMILIES)}; found '{model_type}'; "
            "this text model cannot be converted"
        ) from None
