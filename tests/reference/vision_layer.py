"""One block of InternViT."""

from __future__ import annotations

from reference.attention import attend, split_heads
from reference.checkpoint import VisionConfig, Weights
from reference.norm import layer_norm, rms_norm
from reference.numbers import Array, gelu, linear


def vision_layer(x: Array, w: Weights, c: VisionConfig) -> Array:
    """Attention, then MLP, each normalised before and scaled after.

    Follows InternVisionEncoderLayer of OpenGVLab's ``modeling_intern_vit.py``. The q and k norm
    of InternViT-6B runs over all heads together.

    Args:
        x: ``[n_tokens, width]`` of one tile.
        w: The block's weights.
        c: Switches and sizes.
    """

    def norm(y: Array, name: str) -> Array:
        if c.norm == "rms_norm":
            return rms_norm(y, w[f"{name}.weight"], c.epsilon)
        return layer_norm(y, w[f"{name}.weight"], w[f"{name}.bias"], c.epsilon)

    y = norm(x, "norm1")
    q, k, v = (linear(y, w[f"{n}.weight"], w.get(f"{n}.bias")) for n in ("q", "k", "v"))
    if c.qk_norm:
        q = rms_norm(q, w["q_norm.weight"], c.epsilon)
        k = rms_norm(k, w["k_norm.weight"], c.epsilon)
    y = attend(*(split_heads(t, c.n_heads) for t in (q, k, v)), causal=False)
    x = x + w["scale1"] * linear(y, w["out.weight"], w["out.bias"])

    y = gelu(linear(norm(x, "norm2"), w["fc1.weight"], w["fc1.bias"]))
    return x + w["scale2"] * linear(y, w["fc2.weight"], w["fc2.bias"])
