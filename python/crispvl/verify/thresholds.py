"""How close each type has to be; docs/numerics.md gives the reasons.

A file is held to the coarsest type among its matrices, the encoder and the decoder each by their
own. Cosines are the smallest over a stage's rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Threshold:
    """Limits of one stage.

    Attributes:
        cosine: Smallest cosine of a row with the reference's.
        relative: Largest absolute difference, as a share of the stage's largest magnitude; None
            where the cosine says enough.
        norm: How far the norm's ratio to the reference's may be from one; None where it may be
            anything. A cosine does not see a factor.
    """

    cosine: float
    relative: float | None = None
    norm: float | None = None


@dataclass(frozen=True)
class TypeThresholds:
    """Limits of one tensor type.

    Attributes:
        vision: At every encoder stage and the projector, where the encoder has this type.
        decoder: At every decoder stage.
        logits: At the last position.
        same_ids: Whether greedy tokens have to be the reference's, where its margin is clear.
    """

    vision: Threshold
    decoder: Threshold
    logits: Threshold
    same_ids: bool


_F32 = Threshold(0.99999, 2e-3, norm=2e-3)
_16_VISION, _16_DECODER = Threshold(0.9999, norm=0.01), Threshold(0.999, norm=0.01)
_16 = TypeThresholds(_16_VISION, _16_DECODER, _16_DECODER, same_ids=True)

# Squared error of a round trip of normal values, relative to their square: what a type loses.
ROUND_TRIP_ERROR: Mapping[str, float] = {
    "q8_0": 2.9e-5,
    "q6_k": 3.1e-4,
    "q5_k": 1.30e-3,
    "q5_1": 1.43e-3,
    "q5_0": 1.83e-3,
    "q4_k": 5.1e-3,
    "iq4_nl": 5.8e-3,
    "iq4_xs": 5.9e-3,
    "q4_1": 6.1e-3,
    "q4_0": 7.4e-3,
    "nvfp4": 9.1e-3,
    "mxfp4": 1.32e-2,
}

# The same of the activations that such a matrix is multiplied with, which ggml rounds to 8 bits
# with a scale for at most 256 of them (block_q8_K).
ACTIVATION_ERROR = 4.8e-5

# A stage adds up the errors of the products before it; more than this many times one product's
# error is a fault and no rounding.
_GAIN = 40


def _rounding(error: float) -> TypeThresholds:
    lost = round(_GAIN * (error + ACTIVATION_ERROR), 5)
    # The square of what is lost adds to the norm's, so half of it to the norm.
    limit = Threshold(1 - lost, norm=max(0.02, round(lost / 2, 4)))
    return TypeThresholds(limit, limit, limit, same_ids=False)


# Finest first.
THRESHOLDS: Mapping[str, TypeThresholds] = {
    "f32": TypeThresholds(_F32, _F32, _F32, same_ids=True),
    "f16": _16,
    "bf16": _16,
    **{name: _rounding(error) for name, error in ROUND_TRIP_ERROR.items()},
    # The published limit of 8-bit encoders is closer than the rule's.
    "q8_0": TypeThresholds(
        Threshold(0.999, norm=0.01),
        Threshold(0.99, norm=0.01),
        Threshold(0.99, norm=0.01),
        same_ids=False,
    ),
}

COARSER = TypeThresholds(Threshold(-1.0), Threshold(-1.0), Threshold(-1.0), same_ids=False)
"""Types under four bits are reported and judged only by finiteness: their errors are no longer
small, so no rule tells a fault from rounding."""


def threshold_for(types: Iterable[str]) -> tuple[str, TypeThresholds]:
    """The coarsest of some types, and its limits."""
    order = list(THRESHOLDS)
    found = {t.lower() for t in types}
    unknown = sorted(found - set(order))
    if unknown:
        return unknown[0], COARSER
    coarsest = max(found, key=order.index, default="f32")
    return coarsest, THRESHOLDS[coarsest]


def matrix_types(tensors: Iterable[Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    """The types of a model's matrices: of encoder and projector, and of the decoder."""
    vision: set[str] = set()
    decoder: set[str] = set()
    for tensor in tensors:
        if len(tensor["shape"]) < 2 or tensor["name"].startswith("v.position_embd"):
            continue
        if tensor["name"].startswith("v.patch_embd"):
            continue
        target = vision if tensor["name"].startswith(("v.", "mm.")) else decoder
        target.add(str(tensor["type"]).lower())
    return vision, decoder
