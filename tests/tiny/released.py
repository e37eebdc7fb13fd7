"""Configurations of the sizes that were released, for headers without weights."""

from __future__ import annotations

from tiny.chat_config import chat_config


def released(layers: int, width: int, heads: int, mlp: int) -> dict[str, object]:
    """A configuration of a released size, InternViT-6B and Qwen2."""
    vision = {
        "image_size": 448, "patch_size": 14, "layer_norm_eps": 1e-6, "hidden_act": "gelu",
        "hidden_size": 3200, "num_hidden_layers": 45, "num_attention_heads": 25,
        "intermediate_size": 12800, "norm_type": "rms_norm", "qk_normalization": True,
        "qkv_bias": False,
    }  # fmt: skip
    text = {
        "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 151674,
        "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": 8, "intermediate_size": mlp, "rms_norm_eps": 1e-6,
        "rope_theta": 1e6, "rope_scaling": None, "max_position_embeddings": 32768,
        "hidden_act": "silu", "tie_word_embeddings": False,
    }  # fmt: skip
    return chat_config(vision, text)
