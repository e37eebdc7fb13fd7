"""Reads the text model's part of ``config.json``; both layouts spell it the same way."""

from __future__ import annotations

from crispvl.convert.config import ClampedGate, DecoderConfig, ExpertsConfig
from crispvl.convert.families import text_family
from crispvl.convert.family import ExpertFamily, TextFamily
from crispvl.convert.rope import read_rope, usable_context_length
from crispvl.convert.section import LARGEST_COUNT, MOST_EXPERTS, MOST_LAYERS, Section


def read_decoder(root: Section, text: Section) -> DecoderConfig:
    """Sizes and switches of the text model.

    Args:
        root: The whole config, for what it says about the head.
        text: ``llm_config`` or ``text_config``.
    """
    family = text_family(text.text("model_type"), text.where)
    s = Section(text.raw_values(), text.where, family.defaults)
    s.expect("hidden_act", "silu")
    n_heads = s.count("num_attention_heads")
    n_kv_heads = s.count("num_key_value_heads") if s.has("num_key_value_heads") else n_heads
    if n_heads % n_kv_heads:
        raise s.error("num_key_value_heads", f"a divisor of the {n_heads} heads", n_kv_heads)
    d_head = s.count("head_dim") if s.has("head_dim") else s.count("hidden_size") // n_heads
    if d_head < 2 or d_head % 2:
        raise s.error("head_dim", "an even width of each head", d_head)
    rope_theta, rope_scaling = read_rope(s, d_head, family.rope)
    trained = s.count("max_position_embeddings")
    context_length = usable_context_length(trained, rope_scaling)
    if not 1 <= context_length <= LARGEST_COUNT:
        raise s.error("rope_scaling", "a stretch to a usable length", context_length)
    n_layers = s.count("num_hidden_layers", MOST_LAYERS)
    sliding_layers = _sliding_layers(s, family, n_layers)
    return DecoderConfig(
        family=family,
        n_layers=n_layers,
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
        window=s.count("sliding_window") if any(sliding_layers) else 0,
        sliding_layers=sliding_layers,
        gate=_clamped_gate(s) if family.clamped_gate else None,
        experts=_experts(s, family.experts),
        tied_head=s.raw("tie_word_embeddings") is True or root.raw("tie_word_embeddings") is True,
    )


def _switch(s: Section, keys: tuple[str, ...] | bool) -> bool:
    if isinstance(keys, bool):
        return keys
    return next((s.boolean(key) for key in keys if s.has(key)), False)


def _sliding_layers(s: Section, family: TextFamily, n_layers: int) -> tuple[bool, ...]:
    """Of each layer, whether its queries see the newest keys only."""
    named = s.raw("layer_types")
    if not s.has("sliding_window") or (
        family.sliding == "switched" and s.raw("use_sliding_window") is not True
    ):
        if isinstance(named, list) and any(t != "full_attention" for t in named):
            raise s.error("layer_types", "'full_attention' without a sliding window", named)
        return (False,) * n_layers
    if named is not None:
        known = {"sliding_attention": True, "full_attention": False}
        is_list = isinstance(named, list) and all(isinstance(t, str) for t in named)
        if not is_list or len(named) != n_layers or not known.keys() >= set(named):
            raise s.error("layer_types", f"{n_layers} of {' and '.join(known)}", named)
        return tuple(known[t] for t in named)
    if family.sliding == "switched":
        first = s.integer("max_window_layers")
        return tuple(i >= first for i in range(n_layers))
    slides = {"never": (False, False), "always": (True, True), "alternating": (True, False)}
    return tuple(slides[family.sliding][i % 2] for i in range(n_layers))


def _experts(s: Section, family: ExpertFamily | None) -> ExpertsConfig | None:
    if family is None:
        return None
    if not family.stacked:
        s.expect("decoder_sparse_step", 1)
        s.expect("mlp_only_layers", [], None)
    count = next((key for key in family.count if s.has(key)), family.count[0])
    n, n_used = s.count(count, MOST_EXPERTS), s.count("num_experts_per_tok")
    if n_used > n:
        raise s.error("num_experts_per_tok", f"at most {n}, the experts there are", n_used)
    normalised = family.normalised
    return ExpertsConfig(
        family=family,
        n=n,
        n_used=n_used,
        d_mlp=s.count(family.width),
        normalised=normalised if isinstance(normalised, bool) else s.boolean(normalised),
    )


def _clamped_gate(s: Section) -> ClampedGate:
    return ClampedGate(alpha=s.number("swiglu_alpha"), limit=s.number("swiglu_limit"))
