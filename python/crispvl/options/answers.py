"""Limits and sampling of an answer."""

from __future__ import annotations

from dataclasses import dataclass

from crispvl.options.fields import check, check_optional_count, option, single

MAX_TOKENS = 2048
"""Of an answer, where nothing else is said."""


@dataclass(frozen=True, kw_only=True)
class GenerateOptions:
    """Limits and sampling of one answer."""

    max_tokens: int | None = option(
        None,
        f"most tokens to generate (default: {MAX_TOKENS}; no limit when reading by lines)",
        metavar="N",
    )
    temperature: float = option(
        0.0, "0 always takes the most likely token; higher values vary more", metavar="T"
    )
    top_k: int = option(0, "sample from the K most likely tokens; 0 from all", metavar="K")
    top_p: float = option(
        1.0, "sample from the most likely tokens with this total probability", metavar="P"
    )
    min_p: float = option(
        0.0, "drop tokens less likely than P times the most likely one", metavar="P"
    )
    seed: int = option(0, "seed of the sampler", metavar="N")
    repetition_penalty: float = option(
        1.0, "divide the odds of tokens used before by X; 1 is off", metavar="X"
    )
    repetition_window: int = option(
        0, "how many tokens back the penalty looks; 0 is all generated tokens", metavar="N"
    )
    stop_at_eos: bool = option(True, "stop at the model's end-of-answer tokens")
    speculate: bool = option(
        True, "guess tokens where text repeats, and check them together; the answer is the same"
    )

    def __post_init__(self) -> None:
        check_optional_count("max_tokens", self.max_tokens)
        check("temperature", self.temperature, float, "in 0…100", lambda v: 0 <= v <= 100)
        check("top_k", self.top_k, int, "in 0…2^63-1", lambda v: 0 <= v < 1 << 63)
        check(
            "top_p", self.top_p, float, "in 0…1, 0 excluded",
            lambda v: 0 < v <= 1 and single(v) > 0,
        )  # fmt: skip
        check(
            "min_p", self.min_p, float, "in 0…1, 1 excluded",
            lambda v: 0 <= v < 1 and single(v) < 1,
        )  # fmt: skip
        check("seed", self.seed, int, "in 0…2^64-1", lambda v: 0 <= v < 1 << 64)
        check(
            "repetition_penalty", self.repetition_penalty, float, "in 0…100, 0 excluded",
            lambda v: 0 < v <= 100 and single(v) > 0,
        )  # fmt: skip
        check(
            "repetition_window", self.repetition_window, int, "in 0…2^63-1",
            lambda v: 0 <= v < 1 << 63,
        )  # fmt: skip
        check("stop_at_eos", self.stop_at_eos, bool, "a bool", lambda v: True)
        check("speculate", self.speculate, bool, "a bool", lambda v: True)
