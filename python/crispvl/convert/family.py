"""What tells the families of text models apart: `crispvl.convert.families` has a row for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ExpertFamily:
    """How a mixture of experts is stored and what its config calls it.

    Attributes:
        count: Config keys of the number of experts, the first present one counts.
        width: Config key of an expert's inner width.
        stacked: One tensor holds all experts, each transposed, gate and up rows by turns; else
            each expert has modules of its own.
        normalised: Config key that says whether a token's weights are made to sum to 1; a bool
            where the family leaves no choice.
        router_bias: The router has a bias.
    """

    count: tuple[str, ...]
    width: str
    stacked: bool
    normalised: str | bool
    router_bias: bool


@dataclass(frozen=True, kw_only=True)
class TextFamily:
    """How one ``model_type`` of a text model is stored and what it computes.

    Attributes:
        arch: ``general.architecture`` of the file.
        names: Module name in the file to module name in the checkpoint.
        fused_qkv: q, k and v are interleaved rows of one matrix.
        joined_rows: q, k, v are rows of one matrix, gate and up of another, in the file as well.
        mlp_norm: What the file calls the norm before the MLP.
        rope_layout: ``half`` keeps q/k rows; ``interleaved`` permutes them as llama.cpp expects
            for the architecture.
        qk_norm: ``none`` or ``per_head``.
        qkv_bias, attn_out_bias, mlp_bias: Config keys that say so, the first present one counts;
            a bool where the family leaves no choice.
        sinks: A learnt logit per head takes part in each softmax.
        sliding: Which layers slide where ``layer_types`` does not tell: ``never``, ``always``,
            ``alternating`` from the first one on, or ``switched`` by ``use_sliding_window`` from
            layer ``max_window_layers`` on.
        clamped_gate: The MLP's gate is gpt-oss's; else SwiGLU.
        experts: What the family's mixture of experts is; None for one MLP per block.
        defaults: What the published model class assumes when ``config.json`` leaves a key out.
        rope: The same for the parameters of RoPE.
    """

    arch: str
    names: Mapping[str, str]
    fused_qkv: bool = False
    joined_rows: bool = False
    mlp_norm: str = "ffn_norm"
    rope_layout: str = "half"
    qk_norm: str = "none"
    qkv_bias: tuple[str, ...] | bool = False
    attn_out_bias: tuple[str, ...] | bool = False
    mlp_bias: tuple[str, ...] | bool = False
    sinks: bool = False
    sliding: str = "never"
    clamped_gate: bool = False
    experts: ExpertFamily | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    rope: Mapping[str, Any] = field(default_factory=dict)
