"""Recipes: which type each kind of tensor gets. Data only; `assign` applies it.

The k- and i-quant mixtures follow what llama.cpp's quantiser does for the same names, so that sizes
and qualities are those users know. Two things differ: an encoder is never coarser than q8_0 (a
page's small print is lost there first, and 300M parameters are little beside a decoder), and the
attention values are raised whatever the number of query heads they serve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gguf import LlamaFileType as FileType


@dataclass(frozen=True)
class Rule:
    """The type of the decoder tensors whose name matches ``pattern``, in the chosen layers.

    ``layers`` names an entry of `crispvl.quantize.assign.LAYERS`.
    """

    pattern: str
    type: str
    layers: str = "all"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Types by role; later rules come before earlier ones.

    Attributes:
        file_type: ``general.file_type``.
        text: Matrices of the decoder.
        vision: Matrices of the encoder and the projector.
        head: Output head, and a token table that serves as one; None means as ``text``.
        table: Token table beside a head of its own; None means as ``text``.
        rules: What differs from ``text``.
        fallbacks: Stand-ins that differ from `crispvl.quantize.tensor_types.FALLBACKS`.
    """

    file_type: FileType
    text: str
    vision: str = "q8_0"
    head: str | None = None
    table: str | None = None
    rules: tuple[Rule, ...] = ()
    fallbacks: Mapping[str, str] = field(default_factory=dict)


# The stars take experts in.
_VALUES, _DOWN, _OUT = "blk.*.attn_v.weight", "blk.*.ffn_down*.weight", "blk.*.attn_output.weight"
_QUERIES, _KEYS = "blk.*.attn_q.weight", "blk.*.attn_k.weight"
_GATE, _UP = "blk.*.ffn_gate*.weight", "blk.*.ffn_up*.weight"
_JOINED = "blk.*.attn_qkv.weight"  # Phi-3's queries, keys and values
_EXPERTS = "blk.*.ffn_*_exps.weight"


def _plain(file_type: FileType, text: str, **more: str) -> Recipe:
    return Recipe(file_type=file_type, text=text, **more)  # type: ignore[arg-type]


RECIPES: dict[str, Recipe] = {
    # One type for all, 16 bits and more in the encoder too.
    "f32": _plain(FileType.ALL_F32, "f32", vision="f32"),
    "f16": _plain(FileType.MOSTLY_F16, "f16", vision="f16"),
    "bf16": _plain(FileType.MOSTLY_BF16, "bf16", vision="bf16"),
    "q8_0": _plain(FileType.MOSTLY_Q8_0, "q8_0"),
    "f16-q8_0": _plain(FileType.MOSTLY_Q8_0, "q8_0", vision="f16"),
    "bf16-q8_0": _plain(FileType.MOSTLY_Q8_0, "q8_0", vision="bf16"),
    # Plain blocks of 32.
    "q4_0": _plain(FileType.MOSTLY_Q4_0, "q4_0", head="q6_k"),
    "q4_1": _plain(FileType.MOSTLY_Q4_1, "q4_1", head="q6_k"),
    "q5_0": _plain(FileType.MOSTLY_Q5_0, "q5_0", head="q6_k"),
    "q5_1": _plain(FileType.MOSTLY_Q5_1, "q5_1", head="q6_k"),
    "iq4_nl": _plain(FileType.MOSTLY_IQ4_NL, "iq4_nl", head="q6_k"),
    "mxfp4": _plain(FileType.MOSTLY_MXFP4_MOE, "mxfp4", head="q6_k", table="q8_0"),
    "nvfp4": _plain(FileType.MOSTLY_NVFP4, "nvfp4", head="q6_k", table="q8_0"),
    # Experts in the type that gpt-oss was published in.
    "mxfp4_moe": Recipe(
        file_type=FileType.MOSTLY_MXFP4_MOE, text="q8_0", rules=(Rule(_EXPERTS, "mxfp4"),)
    ),
    # Super-blocks of 256.
    "q2_k": Recipe(
        file_type=FileType.MOSTLY_Q2_K,
        text="q2_k",
        head="q6_k",
        rules=(Rule(_VALUES, "q4_k"), Rule(_DOWN, "q3_k"), Rule(_OUT, "q3_k")),
    ),
    "q3_k_s": _plain(FileType.MOSTLY_Q3_K_S, "q3_k", head="q6_k"),
    "q3_k_m": Recipe(
        file_type=FileType.MOSTLY_Q3_K_M,
        text="q3_k",
        head="q6_k",
        rules=(
            Rule(_VALUES, "q4_k"),
            Rule(_VALUES, "q5_k", "first two"),
            Rule(_DOWN, "q4_k", "more bits"),
            Rule(_DOWN, "q5_k", "first sixteenth"),
            Rule(_OUT, "q4_k"),
            Rule(_JOINED, "q4_k"),
        ),
    ),
    "q3_k_l": Recipe(
        file_type=FileType.MOSTLY_Q3_K_L,
        text="q3_k",
        head="q6_k",
        rules=(
            Rule(_VALUES, "q5_k"),
            Rule(_DOWN, "q5_k"),
            Rule(_OUT, "q5_k"),
            Rule(_JOINED, "q4_k"),
        ),
    ),
    "q4_k_s": Recipe(
        file_type=FileType.MOSTLY_Q4_K_S,
        text="q4_k",
        head="q6_k",
        rules=(Rule(_VALUES, "q5_k", "first four"), Rule(_DOWN, "q5_k", "first eighth")),
    ),
    "q4_k_m": Recipe(
        file_type=FileType.MOSTLY_Q4_K_M,
        text="q4_k",
        head="q6_k",
        rules=(
            Rule(_VALUES, "q6_k", "more bits"),
            Rule(_DOWN, "q6_k", "more bits"),
            Rule(_JOINED, "q5_k"),
        ),
    ),
    # CrispEmbed's file of that name: only the feed-forward layers are coarse.
    "q4_k": Recipe(
        file_type=FileType.MOSTLY_Q4_K_S,
        text="q4_k",
        head="q8_0",
        table="q8_0",
        rules=(Rule("blk.*.attn_*.weight", "q8_0"),),
        fallbacks={"q4_k": "q4_0"},
    ),
    "q5_k_s": _plain(FileType.MOSTLY_Q5_K_S, "q5_k", head="q6_k"),
    "q5_k_m": Recipe(
        file_type=FileType.MOSTLY_Q5_K_M,
        text="q5_k",
        head="q6_k",
        rules=(
            Rule(_VALUES, "q6_k", "more bits"),
            Rule(_DOWN, "q6_k", "more bits"),
            Rule(_JOINED, "q6_k"),
        ),
    ),
    "q6_k": _plain(FileType.MOSTLY_Q6_K, "q6_k"),
    # Codebooks; an importance matrix pays for itself here, and the smallest need one.
    "iq1_s": Recipe(
        file_type=FileType.MOSTLY_IQ1_S,
        text="iq1_s",
        head="q5_k",
        table="q2_k",
        rules=(Rule(_VALUES, "q4_k"), Rule(_OUT, "iq2_xxs"), Rule(_DOWN, "q2_k", "first eighth")),
    ),
    "iq1_m": Recipe(
        file_type=FileType.MOSTLY_IQ1_M,
        text="iq1_m",
        head="q5_k",
        table="q2_k",
        rules=(Rule(_VALUES, "q4_k"), Rule(_OUT, "iq2_xxs"), Rule(_DOWN, "q2_k", "first eighth")),
    ),
    "iq2_xxs": Recipe(
        file_type=FileType.MOSTLY_IQ2_XXS,
        text="iq2_xxs",
        head="q5_k",
        table="q2_k",
        rules=(Rule(_VALUES, "q4_k"), Rule(_DOWN, "q2_k", "first eighth")),
    ),
    "iq2_xs": Recipe(
        file_type=FileType.MOSTLY_IQ2_XS,
        text="iq2_xs",
        head="q5_k",
        table="q2_k",
        rules=(Rule(_VALUES, "q4_k"), Rule(_DOWN, "q2_k", "first eighth")),
    ),
    "iq2_s": Recipe(
        file_type=FileType.MOSTLY_IQ2_S,
        text="iq2_xs",
        head="q5_k",
        table="iq3_s",
        rules=(Rule(_VALUES, "q4_k"), Rule(_OUT, "iq3_s"), Rule(_DOWN, "iq3_s", "first eighth")),
    ),
    "iq2_m": Recipe(
        file_type=FileType.MOSTLY_IQ2_M,
        text="iq2_s",
        head="q5_k",
        table="iq3_s",
        rules=(Rule(_VALUES, "q4_k"), Rule(_OUT, "iq3_s"), Rule(_DOWN, "iq3_s", "first eighth")),
    ),
    "iq3_xxs": Recipe(
        file_type=FileType.MOSTLY_IQ3_XXS,
        text="iq3_xxs",
        head="q5_k",
        table="iq3_s",
        rules=(Rule(_VALUES, "q4_k"), Rule(_QUERIES, "iq2_s"), Rule(_KEYS, "iq2_s")),
    ),
    "iq3_xs": Recipe(
        file_type=FileType.MOSTLY_IQ3_XS,
        text="iq3_s",
        head="q6_k",
        rules=(
            Rule(_VALUES, "q4_k"),
            Rule(_QUERIES, "iq3_xxs"),
            Rule(_KEYS, "iq3_xxs"),
            Rule(_GATE, "iq3_xxs", "middle"),
            Rule(_UP, "iq3_xxs", "middle"),
        ),
    ),
    "iq3_s": Recipe(
        file_type=FileType.MOSTLY_IQ3_S, text="iq3_s", head="q6_k", rules=(Rule(_VALUES, "q4_k"),)
    ),
    "iq3_m": Recipe(
        file_type=FileType.MOSTLY_IQ3_M,
        text="iq3_s",
        head="q6_k",
        rules=(Rule(_VALUES, "q4_k"), Rule(_DOWN, "q4_k", "first eighth"), Rule(_OUT, "q4_k")),
    ),
    "iq4_xs": Recipe(
        file_type=FileType.MOSTLY_IQ4_XS,
        text="iq4_xs",
        head="q6_k",
        rules=(Rule(_VALUES, "q5_k"), Rule(_DOWN, "q5_k", "first eighth")),
    ),
    # Ternary, for models trained so.
    "tq1_0": _plain(FileType.MOSTLY_TQ1_0, "tq1_0", head="q6_k", table="q4_k"),
    "tq2_0": _plain(FileType.MOSTLY_TQ2_0, "tq2_0", head="q6_k", table="q4_k"),
}

# Names people use for the mixture that llama.cpp calls by the longer one.
ALIASES = {"q3_k": "q3_k_m", "q5_k": "q5_k_m"}

AUTO = "auto"
"""Not a mixture of its own: the best that fits a size, see `crispvl.quantize.budget`."""


def find_recipe(name: str) -> tuple[str, Recipe]:
    """Looks a recipe up, upper and lower case alike; returns its name too.

    Raises:
        ValueError: There is no such recipe.
    """
    wanted = ALIASES.get(name.lower(), name.lower())
    if wanted not in RECIPES:
        raise ValueError(
            f"[quantize] expected a recipe, one of {', '.join([*RECIPES, AUTO])}; found "
            f"'{name}'; choose one of them"
        )
    return wanted, RECIPES[wanted]
