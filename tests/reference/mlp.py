"""The feed-forward half of a block: one gated MLP, or a mixture of experts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference.numbers import Array, linear, silu, softmax


@dataclass(frozen=True)
class ClampedGate:
    """gpt-oss's gate."""

    alpha: float
    limit: float


@dataclass(frozen=True)
class Experts:
    """A token's experts; ``normalised``: their weights sum to 1."""

    n_used: int
    normalised: bool


def gated(gate: Array, up: Array, clamped: ClampedGate | None) -> Array:
    """``silu(gate) * up``, or gpt-oss's form (``GptOssExperts._apply_gate`` of transformers)."""
    if clamped is None:
        return silu(gate) * up
    gate, up = np.minimum(gate, clamped.limit), np.clip(up, -clamped.limit, clamped.limit)
    return gate / (1 + np.exp(-clamped.alpha * gate)) * (up + 1)


def mlp(x: Array, w: dict[str, Array], clamped: ClampedGate | None) -> Array:
    """One MLP.

    Args:
        x: ``[n_tokens, width]``.
        w: ``gate``, ``up``, ``down`` weights ``[d_out, d_in]``, and their biases as ``gate_bias``.
        clamped: The gate, where it is not SiLU.
    """
    gate, up = (linear(x, w[name], w.get(f"{name}_bias")) for name in ("gate", "up"))
    return linear(gated(gate, up, clamped), w["down"], w.get("down_bias"))


def mixture(
    x: Array,
    router: Array,
    w: list[dict[str, Array]],
    experts: Experts,
    clamped: ClampedGate | None,
) -> Array:
    """Each token by its experts, one after the other.

    Follows ``Qwen3MoeSparseMoeBlock`` of transformers. gpt-oss's softmax over the chosen logits is
    that over all of them, normalised after the choice.

    Args:
        x: ``[n_tokens, width]``.
        router: Logits ``[n_tokens, n_experts]``.
        w: Each expert's weights, as `mlp` takes them.
        experts: How many a token gets, and whether their weights are normalised.
        clamped: The gate, where it is not SiLU.
    """
    probabilities = softmax(router)
    y = np.zeros_like(x)
    for i, p in enumerate(probabilities):
        chosen = np.argsort(-p, kind="stable")[: experts.n_used]
        total = p[chosen].sum() if experts.normalised else 1.0
        for e in chosen:
            y[i] += p[e] / total * mlp(x[i : i + 1], w[e], clamped)[0]
    return y
