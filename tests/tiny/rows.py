"""The table of tiny models: each row changes few switches of the first one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Row:
    """One model.

    Attributes:
        name: What the row is about.
        layout: ``chat``, ``hf``, or ``hf-prefixed`` (everything under ``model.``).
        family: ``model_type`` of the text model.
        text: Config values of the text model beyond sizes, as its config spells them.
        norm, qk_norm, qkv_bias: Switches of the encoder.
        n_layers: Layers of the text model.
        d_head: Width of a text head.
        n_kv_heads: Key/value heads of the text model; it has four query heads.
        tied_head: The head is the embedding.
        tokenizer: ``bpe``, ``bpe-json``, ``bytes`` (no merges), ``spm``, ``spm-prefix``.
        faint: The encoder's activations are so small that its epsilons decide.
        thumbnail: Whether a page of several tiles gets one (chat layout only).
        dtype: ``F32``, ``F16`` or ``BF16``, the checkpoint's own type.
        extra: Values of the outer ``config.json``.
    """

    name: str
    layout: str = "chat"
    family: str = "qwen2"
    text: Mapping[str, Any] = field(default_factory=dict)
    norm: str = "layer_norm"
    qk_norm: bool = False
    qkv_bias: bool = True
    n_layers: int = 2
    d_head: int = 16
    n_kv_heads: int = 2
    tied_head: bool = False
    tokenizer: str = "bpe"
    faint: bool = False
    thumbnail: bool = True
    dtype: str = "F32"
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text_qkv_bias(self) -> bool:
        """Whether q, k and v of the text model have a bias."""
        keys = ("bias",) if self.family == "internlm2" else ("qkv_bias", "attention_bias")
        return self.family in ("qwen2", "gpt_oss") or any(self.text.get(k) for k in keys)

    @property
    def text_out_bias(self) -> bool:
        """Whether the attention output of the text model has a bias."""
        named = self.text.get("bias") or self.text.get("attention_bias")
        return self.family == "gpt_oss" or bool(named)

    @property
    def text_mlp_bias(self) -> bool:
        """Whether the MLP of the text model has biases."""
        keys = ("mlp_bias",) if self.family != "internlm3" else ("bias", "mlp_bias")
        return self.family != "internlm2" and any(self.text.get(k) for k in keys)


def _scaling(**values: Any) -> dict[str, Any]:
    return {"rope_theta": 10000.0, "rope_scaling": values}


_INTERNLM2 = {"bias": False}

_EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 32}

_GPT_OSS = {
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "intermediate_size": 32,
    "attention_bias": True,
    "sliding_window": 9,
    "swiglu_limit": 0.5,  # small activations reach it
}

_LONGROPE = {
    "short_factor": [1 + 0.1 * i for i in range(8)],
    "long_factor": [1.0 + i for i in range(8)],
}

# A context this short makes dynamic scaling and YaRN act on the prompts of the tests.
_SHORT = {"max_position_embeddings": 24}

ROWS: tuple[Row, ...] = (
    Row("base"),
    # encoder
    Row("vision-rms-norm", norm="rms_norm"),
    Row("vision-qk-norm", qk_norm=True),
    Row("vision-no-qkv-bias", qkv_bias=False),
    Row("vision-6b", norm="rms_norm", qk_norm=True, qkv_bias=False),
    Row("vision-6b-hf", "hf", norm="rms_norm", qk_norm=True, qkv_bias=False),
    Row("vision-faint", faint=True),
    Row("vision-faint-6b", faint=True, norm="rms_norm", qk_norm=True, qkv_bias=False),
    Row("no-thumbnail", thumbnail=False),
    Row("earlier-layer", extra={"select_layer": -2}),
    Row("earlier-layer-hf", "hf", extra={"vision_feature_layer": 1}),
    Row(
        "flash",
        family="qwen3",
        extra={
            "flash_mode": True,
            "flash_relative_threshold": 0.5,
            "flash_absolute_threshold": 0.0,
        },
    ),
    # text families
    Row("qwen2-hf", "hf"),
    Row("qwen2-hf-prefixed", "hf-prefixed"),
    Row("qwen3", family="qwen3", d_head=32),
    Row("qwen3-hf-tied", "hf", family="qwen3", d_head=32, tied_head=True),
    Row("qwen3-bias", family="qwen3", text={"attention_bias": True}),
    Row("internlm2", family="internlm2", text=_INTERNLM2, tokenizer="spm"),
    Row("internlm2-bias", family="internlm2", text={"bias": True}, tokenizer="spm"),
    Row("internlm2-one-kv-head", family="internlm2", text=_INTERNLM2, n_kv_heads=1),
    Row("internlm3", family="internlm3", d_head=24, tokenizer="spm"),
    Row("internlm3-odd-head", family="internlm3", d_head=20, tokenizer="spm"),
    Row("internlm3-qkv-bias", family="internlm3", text={"qkv_bias": True}, tokenizer="spm"),
    Row("internlm3-bias", "hf", family="internlm3", text={"bias": True}, tokenizer="spm"),
    Row("llama-hf", "hf", family="llama", tokenizer="spm"),
    Row("llama-hf-bias", "hf", family="llama", text={"attention_bias": True, "mlp_bias": True}),
    Row("mistral-hf", "hf", family="mistral", text={"sliding_window": 9}),
    Row("mistral-no-window", family="mistral", text={"sliding_window": None}, tokenizer="spm"),
    Row(
        "qwen2-sliding",
        text={"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1},
    ),
    Row(
        "qwen3-sliding-hf",
        "hf",
        family="qwen3",
        text={
            "use_sliding_window": True,
            "sliding_window": 12,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    Row(
        "qwen3-moe-hf",
        "hf",
        family="qwen3_moe",
        d_head=32,
        text={**_EXPERTS, "norm_topk_prob": True},
    ),
    Row("qwen3-moe-not-normalised", family="qwen3_moe", text={**_EXPERTS, "norm_topk_prob": False}),
    Row("one-expert", family="qwen3_moe", text={**_EXPERTS, "num_experts_per_tok": 1}),
    Row("gpt-oss-hf", "hf", family="gpt_oss", text=_GPT_OSS),
    Row(
        "gpt-oss",
        family="gpt_oss",
        d_head=32,
        text={**_GPT_OSS, "sliding_window": 16, "swiglu_limit": 7.0},
    ),
    Row(
        "phi3-hf",
        "hf",
        family="phi3",
        n_kv_heads=4,
        text={
            "original_max_position_embeddings": 24,
            "rope_parameters": {"rope_type": "longrope", "rope_theta": 10000.0, **_LONGROPE},
        },
    ),
    Row(
        "phi3",
        family="phi3",
        text={
            "original_max_position_embeddings": 30,
            "sliding_window": 400,
            **_scaling(type="su", **_LONGROPE),
        },
        tokenizer="spm",
    ),
    # heads
    Row("head-dim", text={"head_dim": 32}, d_head=32),
    Row("all-kv-heads", n_kv_heads=4),
    Row("one-kv-head", n_kv_heads=1),
    Row("tied", tied_head=True),
    Row("tied-hf", "hf", tied_head=True),
    # rope
    Row("rope-linear", text=_scaling(type="linear", factor=4.0)),
    Row("rope-dynamic", text={**_scaling(type="dynamic", factor=2.0), **_SHORT}),
    Row(
        "rope-dynamic-internlm2",
        family="internlm2",
        text={**_INTERNLM2, **_scaling(type="dynamic", factor=3.0), **_SHORT},
        tokenizer="spm",
    ),
    Row(
        "rope-yarn",
        text=_scaling(rope_type="yarn", factor=4.0, original_max_position_embeddings=64),
    ),
    Row(
        "rope-yarn-new-spelling",
        "hf",
        text={
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 5000.0,
                "factor": 2.0,
                "original_max_position_embeddings": 128,
                "beta_fast": 16.0,
                "beta_slow": 2.0,
                "attention_factor": 1.25,
            }
        },
    ),
    Row(
        "rope-yarn-whole-ramp",
        "hf",
        text={
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "original_max_position_embeddings": 64,
                "truncate": False,
            }
        },
    ),
    Row(
        "rope-llama3",
        "hf",
        family="llama",
        text={
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
    ),
    Row("rope-new-spelling", "hf", text={"rope_parameters": {"rope_theta": 777.0}}),
    # tokenizers
    Row("tokenizer-json", tokenizer="bpe-json"),
    Row("tokenizer-bytes", "hf", tokenizer="bytes"),
    Row("tokenizer-space-prefix", family="internlm2", text=_INTERNLM2, tokenizer="spm-prefix"),
    # storage
    Row("stored-f16", dtype="F16"),
    Row("stored-bf16", dtype="BF16"),
)

BASE = ROWS[0]


def row(name: str) -> Row:
    """The row of that name."""
    return next(r for r in ROWS if r.name == name)


def variant(base: Row, **changes: Any) -> Row:
    """A row that is not in the table, for one test."""
    return replace(base, **changes)
