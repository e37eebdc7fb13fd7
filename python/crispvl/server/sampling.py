"""A request's fields as options of the engine."""

from __future__ import annotations

import secrets
from typing import Any

from crispvl.engine.logits_sampler import LogitsSampler
from crispvl.engine.model import Model
from crispvl.engine.request import Constraint
from crispvl.options import ReadOptions
from crispvl.reading.layout_choice import chosen_layout
from crispvl.reading.pages import tile_limits
from crispvl.server.errors import ApiError
from crispvl.server.wire.common import Reading, Sampling

_SMALLEST = 1e-6
"""Replaces a bound of 0 or 1, and leaves only the likeliest token."""

_READING_FIELDS = (
    "max_tiles",
    "min_tiles",
    "pages",
    "task",
    "layout",
    "thinking",
    "dpi",
    "password",
)


def read_options(
    sampling: Sampling | None, reading: Reading | None, max_tokens: int | None, i_answer: int = 0
) -> ReadOptions:
    """Returns what a request asks for.

    Args:
        sampling: How its answers are sampled.
        reading: How its documents are cut up.
        max_tokens: Of an answer.
        i_answer: Which of a request's answers it is; each has a seed of its own.

    Raises:
        ApiError: The fields contradict each other.
    """
    fields: dict[str, Any] = {}
    if sampling is not None:
        fields.update(_sampling_fields(sampling, i_answer))
    if reading is not None:
        given = {name: getattr(reading, name) for name in _READING_FIELDS}
        fields.update({name: value for name, value in given.items() if value is not None})
    if max_tokens is not None:
        fields["max_tokens"] = max_tokens
    try:
        return ReadOptions(**fields)
    except (ValueError, TypeError) as error:
        raise ApiError(400, str(error), "invalid_value") from error


def check_layout(model: Model, options: ReadOptions, prompt: str | None) -> None:
    """Checks that pages can be read as a request wants.

    Raises:
        ApiError: Something else is asked than the layout can answer.
    """
    try:
        chosen_layout(model.metadata, options, prompt)
        tile_limits(model.config, options)
    except ValueError as error:
        raise ApiError(400, str(error), "invalid_value", "layout") from error


def special_sampler(
    sampling: Sampling, options: ReadOptions, n_top: int, bound: Constraint | None = None
) -> Constraint | None:
    """Returns what chooses an answer's tokens, where the core's own sampler does not do."""
    presence, frequency = sampling.presence_penalty or 0.0, sampling.frequency_penalty or 0.0
    if not presence and not frequency and not n_top:
        return bound
    return LogitsSampler(options, presence, frequency, n_top, bound)


def answer_length(asked: int | None, default: int) -> int:
    """Returns most tokens of an answer; -1 is all that the context has room for."""
    if asked == -1:
        return 1 << 31
    if asked == 0:
        raise ApiError(
            400,
            "[max_tokens] expected at least 1; found 0; raise it",
            "invalid_value",
            "max_tokens",
        )
    return default if asked is None else asked


def _sampling_fields(sampling: Sampling, i_answer: int) -> dict[str, Any]:
    temperature = sampling.temperature or 0.0
    seed = sampling.seed
    if seed is None:
        seed = secrets.randbits(63) if temperature > 0 else 0
    fields = {
        "temperature": temperature,
        "seed": (seed + i_answer) % (1 << 64),
        "top_k": None if sampling.top_k is None else max(sampling.top_k, 0),
        "top_p": None if sampling.top_p is None else max(sampling.top_p, _SMALLEST),
        "min_p": None if sampling.min_p is None else min(sampling.min_p, 1 - _SMALLEST),
        "repetition_penalty": sampling.repetition_penalty,
        "stop_at_eos": False if sampling.ignore_eos else None,
    }
    return {name: value for name, value in fields.items() if value is not None}
