"""Reads the text model's part of ``config.json``; both layouts spell it the same way."""

from __future__ import annotations

from crispvl.convert.config import DecoderConfig
from crispvl.convert.families import text_family
from crispvl.convert.rope import read_rope, usable_context_length
from crispvl.convert.section import LARGEST_COUNT, MOST_LAYERS, Section


def read_decoder(root: Section, text: Section) -> DecoderConfig:
    """Sizes and switches of the text model.

    Args:
        root: The whole config, for what it says about the head.
        text: ``llm_config`` or ``text_config``.
    """
    family = text_family(text.text("model_type"), text.where)
    s = Section(text.raw_values(), text.where, family.defaults)
    s.expect("hidden_act", "silu")
    _refuse_sliding_window(s)
    n_heads = s.count("num_attention_heads")
    rope_theta, rope_scaling = read_rope(s)
    trained = s.count("max_position_embeddings")
    context_length = usable_context_length(trained, rope_scaling)
    if not 1 <= context_length <= LARGEST_COUNT:
        raise s.error("rope_scaling", "a stretch to a usable length", context_length)
    n_kv_heads = s.count("num_key_value_heads") if s.has("num_key_value_heads") else n_heads
    if n_heads % n_kv_heads:
        raise s.error("num_key_value_heads", f"a divisor of the {n_heads} heads", n_kv_heads)
    d_head = s.count("head_dim") if s.has("head_dim") else s.count("hidden_size") // n_heads
    if d_head < 2 or d_head % 2:
        raise s.error("head_dim", "an even width of each head", d_head)
    return DecoderConfig(
        family=family,
        n_layers=s.count("num_hidden_layers", MOST_LAYERS),
        width=s.count("hidden_size"),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_head=d_head,
        d_mlp=s.count("intermediate_size"),
        vocab_size=s.count("vocab_size"),
        context_length=context_length,
        norm_epsilon=s.number("rms_norm_eps"),
        rope_theta=rope_theta,
        rope_scaling=rope_scaling,
        qkv_bias=_switch(s, family.qkv_bias),
        attn_out_bias=_switch(s, family.attn_out_bias),
        mlp_bias=_switch(s, family.mlp_bias),
        tied_head=s.raw("tie_word_embeddings") is True or root.raw("tie_word_embeddings") is True,
    )


def _switch(s: Section, keys: tuple[str, ...] | bool) -> bool:
    if isinstance(keys, bool):
        return keys
    return next((s.boolean(key) for key in keys if s.has(key)), False)


def _refuse_sliding_window(s: Section) -> None:
    layer_types = s.raw("layer_types")
    if isinstance(layer_types, list) and any(t != "full_attention" for t in layer_types):
        raise s.error("layer_types", "'full_attention' in every layer", layer_types)
    first = s.raw("max_window_layers")
    if s.raw("use_sliding_window") is True and not (
        isinstance(first, int) and first >= s.count("num_hidden_layers")
    ):
        raise s.error("use_sliding_window", "false", True)
