"""The tensor types that ggml writes, and what replaces one whose blocks do not fit a row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class TensorType:
    """A type: ``block`` values take ``block_bytes`` bytes."""

    name: str
    block: int
    block_bytes: int
    needs_importance: bool

    @property
    def bits(self) -> float:
        """Bits per value."""
        return 8 * self.block_bytes / self.block


# The next larger type with smaller blocks, in several steps where it takes them; f16 fits all rows.
FALLBACKS = {
    "iq1_s": "iq4_nl",
    "iq1_m": "iq4_nl",
    "iq2_xxs": "iq4_nl",
    "iq2_xs": "iq4_nl",
    "iq2_s": "iq4_nl",
    "iq3_xxs": "iq4_nl",
    "iq3_s": "iq4_nl",
    "iq4_xs": "iq4_nl",
    "q1_0": "iq4_nl",
    "q2_0": "iq4_nl",
    "q2_k": "iq4_nl",
    "q3_k": "iq4_nl",
    "q4_k": "q5_0",
    "q5_k": "q5_1",
    "q6_k": "q8_0",
    "tq1_0": "q4_0",
    "tq2_0": "q4_0",
    "nvfp4": "mxfp4",
}


@lru_cache(maxsize=1)
def tensor_types() -> dict[str, TensorType]:
    """All writable types by their lower-case name."""
    from crispvl._core import tensor_types as core_types

    types = (
        TensorType(t["name"].lower(), t["block"], t["block_bytes"], t["needs_importance"])
        for t in core_types()
    )
    return {t.name: t for t in types}


def tensor_type(name: str) -> TensorType:
    """Looks a type up, upper and lower case alike.

    Raises:
        ValueError: There is no such type.
    """
    types = tensor_types()
    if name.lower() not in types:
        raise ValueError(
            f"[quantize] expected a tensor type, one of {', '.join(types)}; found '{name}'; "
            "choose one of them"
        )
    return types[name.lower()]


def fitting_type(name: str, n_columns: int) -> TensorType:
    """The type itself, or the first fallback whose blocks divide a row."""
    wanted = tensor_type(name)
    while n_columns % wanted.block:
        wanted = tensor_type(FALLBACKS.get(wanted.name, "f16"))
    return wanted
