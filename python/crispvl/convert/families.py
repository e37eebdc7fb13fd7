"""Text model families, one row each: names in the checkpoint, architecture in the file, switches.

A new family is a new row. Names on the left are llama.cpp's, ``{i}`` is the layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crispvl.convert.family import ExpertFamily, TextFamily
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


# q, k and v are rows of one matrix, and so are gate and up; the file keeps them so.
_PHI3_NAMES = {
    **_COMMON_NAMES,
    "blk.{i}.attn_qkv": "model.layers.{i}.self_attn.qkv_proj",
    "blk.{i}.ffn_up": "model.layers.{i}.mlp.gate_up_proj",
}

# ``{e}`` is the expert.
_QWEN3_MOE_NAMES = {
    **_COMMON_NAMES,
    "blk.{i}.ffn_gate_inp": "model.layers.{i}.mlp.gate",
    "blk.{i}.ffn_gate_exps": "model.layers.{i}.mlp.experts.{e}.gate_proj",
    "blk.{i}.ffn_up_exps": "model.layers.{i}.mlp.experts.{e}.up_proj",
    "blk.{i}.ffn_down_exps": "model.layers.{i}.mlp.experts.{e}.down_proj",
}

_GPT_OSS_NAMES = {
    **_COMMON_NAMES,
    "blk.{i}.attn_sinks": "model.layers.{i}.self_attn.sinks",
    "blk.{i}.ffn_gate_inp": "model.layers.{i}.mlp.router",
    "blk.{i}.ffn_gate_exps": "model.layers.{i}.mlp.experts.gate_up_proj",
    "blk.{i}.ffn_up_exps": "model.layers.{i}.mlp.experts.gate_up_proj",
    "blk.{i}.ffn_down_exps": "model.layers.{i}.mlp.experts.down_proj",
}

_COMMON_DEFAULTS: dict[str, Any] = {
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}

_QWEN_DEFAULTS: dict[str, Any] = {
    **_COMMON_DEFAULTS,
    "sliding_window": 4096,
    "use_sliding_window": False,
}

FAMILIES: Mapping[str, TextFamily] = {
    "qwen2": TextFamily(
        arch="qwen2",
        names=_COMMON_NAMES,
        qkv_bias=True,
        sliding="switched",
        defaults={**_QWEN_DEFAULTS, "max_window_layers": 28},
    ),
    "qwen3": TextFamily(
        arch="qwen3",
        names=_COMMON_NAMES,
        qk_norm="per_head",
        qkv_bias=("attention_bias",),
        attn_out_bias=("attention_bias",),
        sliding="switched",
        defaults={
            **_QWEN_DEFAULTS,
            "head_dim": 128,
            "attention_bias": False,
            "max_window_layers": 28,
        },
    ),
    "qwen3_moe": TextFamily(
        arch="qwen3moe",
        names=_QWEN3_MOE_NAMES,
        qk_norm="per_head",
        qkv_bias=("attention_bias",),
        attn_out_bias=("attention_bias",),
        sliding="switched",
        experts=ExpertFamily(
            count=("num_experts", "num_local_experts"),
            width="moe_intermediate_size",
            stacked=False,
            normalised="norm_topk_prob",
            router_bias=False,
        ),
        defaults={
            **_QWEN_DEFAULTS,
            "attention_bias": False,
            "max_window_layers": 0,
            "norm_topk_prob": False,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
        },
    ),
    "gpt_oss": TextFamily(
        arch="gpt-oss",
        names=_GPT_OSS_NAMES,
        mlp_norm="post_attention_norm",
        qkv_bias=("attention_bias",),
        attn_out_bias=("attention_bias",),
        mlp_bias=True,
        sinks=True,
        sliding="alternating",
        clamped_gate=True,
        experts=ExpertFamily(
            count=("num_local_experts", "num_experts"),
            width="intermediate_size",
            stacked=True,
            normalised=True,
            router_bias=True,
        ),
        defaults={
            **_COMMON_DEFAULTS,
            "rms_norm_eps": 1e-5,
            "rope_theta": 150000.0,
            "attention_bias": True,
            "head_dim": 64,
            "sliding_window": 128,
            "swiglu_alpha": 1.702,
            "swiglu_limit": 7.0,
        },
        rope={
            "rope_type": "yarn",
            "factor": 32.0,
            "truncate": False,
            "original_max_position_embeddings": 4096,
        },
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
        names=_COMMON_NAMES,
        rope_layout="interleaved",
        qkv_bias=("qkv_bias", "attention_bias"),
        attn_out_bias=("bias", "attention_bias"),
        mlp_bias=("bias", "mlp_bias"),
        defaults=_COMMON_DEFAULTS,
    ),
    # Llama and Yi, and what the -hf checkpoints of InternLM2 and InternLM3 sizes call themselves.
    "llama": TextFamily(
        arch="llama",
        names=_COMMON_NAMES,
        rope_layout="interleaved",
        qkv_bias=("attention_bias",),
        attn_out_bias=("attention_bias",),
        mlp_bias=("mlp_bias",),
        defaults=_COMMON_DEFAULTS,
    ),
    "mistral": TextFamily(
        arch="llama",
        names=_COMMON_NAMES,
        rope_layout="interleaved",
        sliding="always",
        defaults={**_COMMON_DEFAULTS, "num_key_value_heads": 8, "sliding_window": 4096},
    ),
    "phi3": TextFamily(
        arch="phi3",
        names=_PHI3_NAMES,
        joined_rows=True,
        sliding="always",
        defaults={**_COMMON_DEFAULTS, "rms_norm_eps": 1e-5},
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
