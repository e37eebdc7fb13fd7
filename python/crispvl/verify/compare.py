"""The parity table: stages, logits, tokens and text of a file and of its reference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crispvl.engine.model import Model
from crispvl.errors import ModelFileError
from crispvl.verify.expected import Array, Expected, ExpectedPrompt
from crispvl.verify.thresholds import Threshold, TypeThresholds, matrix_types, threshold_for

# Where the reference's two best tokens are closer than this, either may come.
_CLEAR_MARGIN = {"f32": 0.01, "f16": 0.1, "bf16": 0.1}


@dataclass(frozen=True, kw_only=True)
class StageRow:
    """One stage of the table.

    Attributes:
        stage: Its name in the reference.
        cosine_min: Smallest cosine of a row with the reference's.
        cosine_mean: Their mean.
        max_difference: Largest absolute difference.
        norm_ratio: Norm of the stage over the reference's.
        passed: Whether it is within its limits.
    """

    stage: str
    cosine_min: float
    cosine_mean: float
    max_difference: float
    norm_ratio: float
    passed: bool


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """The greedy tokens of one prompt; ``n_same`` of ``n_tokens`` are the reference's."""

    prompt: str
    n_same: int
    n_tokens: int
    text: str
    expected_text: str
    judged: bool
    passed: bool


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The whole comparison.

    ``vision_type`` and ``decoder_type`` are the coarsest types, whose limits hold.
    """

    source: str
    vision_type: str
    decoder_type: str
    stages: Sequence[StageRow]
    answers: Sequence[AnswerRow]

    @property
    def passed(self) -> bool:
        """Whether every stage and every judged answer is within its limits."""
        return all(r.passed for r in self.stages) and all(a.passed for a in self.answers)


def verify_model(model: Model, expected: Expected) -> Verdict:
    """Runs the reference's prompts and compares all that comes.

    Raises:
        ValueError: The reference is of a model with other tiles, tokens or stages.
    """
    vision, decoder = matrix_types(model.core.tensors)
    vision_type, vision_limits = threshold_for(vision)
    # What the encoder loses reaches the decoder too.
    decoder_type, limits = threshold_for(decoder | vision)
    image = expected.prompts["image"]
    trace: dict[str, NDArray[np.float32]] = model.trace(expected.tiles, image.prompt_ids)
    rows = list(_stage_rows(trace, expected, vision_limits, limits))
    logits = {"image": trace["logits"]}
    if "text" in expected.prompts:
        logits["text"] = model.trace(None, expected.prompts["text"].prompt_ids)["logits"]
    rows += [
        compare_stage(f"logits_{name}", logits[name], want, limits.logits)
        for name, want in expected.logits.items()
    ]
    answers = [
        _answer_row(model, name, prompt, expected, decoder_type, limits)
        for name, prompt in expected.prompts.items()
    ]
    return Verdict(
        source=expected.source,
        vision_type=vision_type,
        decoder_type=decoder_type,
        stages=rows,
        answers=answers,
    )


def _stage_rows(
    trace: Mapping[str, Array],
    expected: Expected,
    vision: TypeThresholds,
    decoder: TypeThresholds,
) -> Iterator[StageRow]:
    for name, want in expected.stages.items():
        if name not in trace:
            raise ValueError(
                f"[verify] expected a reference of this model; it has a stage '{name}' that the "
                "model lacks; give the golden or checkpoint it was converted from"
            )
        found = trace[name]
        # A reference may hold the first tile's encoder stages only.
        found = found[: len(want)] if name.startswith("vis_") else found
        limit = vision.vision if name.startswith("vis_") else decoder.decoder
        yield compare_stage(name, found, want, limit)


def compare_stage(name: str, found: Array, want: Array, limit: Threshold) -> StageRow:
    """Compares two arrays row by row along their last axis.

    Raises:
        ValueError: Their shapes differ.
    """
    if found.shape != want.shape:
        raise ValueError(
            f"[verify] expected '{name}' of shape {list(want.shape)}, as the reference; the model "
            f"gives {list(found.shape)}; give the golden or checkpoint it was converted from"
        )
    a = np.asarray(found, np.float64).reshape(-1, found.shape[-1])
    b = np.asarray(want, np.float64).reshape(-1, want.shape[-1])
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = np.where(norms > 0, (a * b).sum(axis=1) / norms, np.all(a == b, axis=1))
        norm, wanted = float(np.linalg.norm(a)), float(np.linalg.norm(b))
        ratio = 1.0 if norm == wanted else float(np.float64(norm) / wanted)
    difference = float(np.abs(a - b).max())
    scale = float(np.abs(b).max())
    cosine_min = float(cosines.min())
    # Comparisons with NaN are false, so a broken stage never passes.
    close = cosine_min >= limit.cosine and math.isfinite(difference)
    if limit.relative is not None:
        close = close and difference <= limit.relative * scale
    if limit.norm is not None:
        close = close and abs(ratio - 1) <= limit.norm
    return StageRow(
        stage=name,
        cosine_min=cosine_min,
        cosine_mean=float(cosines.mean()),
        max_difference=difference,
        norm_ratio=ratio,
        passed=close,
    )


def _answer_row(
    model: Model,
    name: str,
    prompt: ExpectedPrompt,
    expected: Expected,
    kind: str,
    limits: TypeThresholds,
) -> AnswerRow:
    n_tokens = len(prompt.greedy_ids)
    try:
        ids = model.generate(
            list(prompt.prompt_ids),
            expected.tiles if name == "image" else None,
            max_tokens=n_tokens,
            temperature=0.0,
            stop_at_eos=False,
        ).ids
    except ModelFileError:  # logits that are no numbers: the stages tell where they begin
        ids = []
    n_same = 0
    for found, want in zip(ids, prompt.greedy_ids, strict=False):
        if found != want:
            break
        n_same += 1
    passed = len(ids) > 0
    if passed and limits.same_ids:
        passed = n_same == n_tokens or _is_near_tie(prompt, n_same, _CLEAR_MARGIN[kind])
    return AnswerRow(
        prompt=name,
        n_same=n_same,
        n_tokens=n_tokens,
        text=model.detokenize(ids),
        expected_text=prompt.text,
        judged=limits.same_ids or not ids,
        passed=passed,
    )


def _is_near_tie(prompt: ExpectedPrompt, index: int, margin: float) -> bool:
    return index < len(prompt.margins) and prompt.margins[index] < margin
