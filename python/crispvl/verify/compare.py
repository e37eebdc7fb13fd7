"""The parity table: stages, logits, tokens and text of a file and of its reference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

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
        cosine_median: Their median.
        cosine_mean: Their mean.
        max_difference: Largest absolute difference.
        norm_ratio: Norm of the stage over the reference's.
        judged: Whether the limits hold for it.
        passed: Whether it is within them.
    """

    stage: str
    cosine_min: float
    cosine_median: float
    cosine_mean: float
    max_difference: float
    norm_ratio: float
    judged: bool
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

    ``vision_type`` and ``decoder_type`` are the coarsest types, whose limits hold. Where
    ``may_reroute``, rounding may send a token to other experts than the reference's, so that its
    row is another one: half of a decoder stage's rows have to be within the limits, the logits of a
    row only where the row is, and tokens are not judged.
    """

    source: str
    vision_type: str
    decoder_type: str
    may_reroute: bool
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
    may_reroute = decoder_type != "f32" and model.config.has_experts
    if may_reroute:
        limits = replace(limits, same_ids=False)
    image = expected.prompts["image"]
    trace: dict[str, NDArray[np.float32]] = model.trace(expected.tiles, image.prompt_ids)
    rows = list(_stage_rows(trace, expected, vision_limits, limits, may_reroute))
    logits = {"image": trace["logits"]}
    if "text" in expected.prompts:
        logits["text"] = model.trace(None, expected.prompts["text"].prompt_ids)["logits"]
    has_moved = may_reroute and not _is_last_row_close(trace, expected, limits.decoder)
    judged = {"image": not has_moved, "text": not may_reroute}
    rows += [
        compare_stage(f"logits_{name}", logits[name], want, limits.logits, judged=judged[name])
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
        may_reroute=may_reroute,
        stages=rows,
        answers=answers,
    )


def _stage_rows(
    trace: Mapping[str, Array],
    expected: Expected,
    vision: TypeThresholds,
    decoder: TypeThresholds,
    may_reroute: bool,
) -> Iterator[StageRow]:
    for name, want in expected.stages.items():
        if name not in trace:
            raise ValueError(
                f"[verify] expected a reference of this model; found one with a stage '{name}' "
                "that the model lacks; give the golden or checkpoint it was converted from"
            )
        found = trace[name]
        if name.startswith("vis_"):
            # A reference may hold the first tile's encoder stages only.
            yield compare_stage(name, found[: len(want)], want, vision.vision)
        else:
            yield compare_stage(name, found, want, decoder.decoder, by_median=may_reroute)


def _is_last_row_close(trace: Mapping[str, Array], expected: Expected, limit: Threshold) -> bool:
    """Whether what the logits of the image prompt are computed from is within a limit."""
    name = "llm_final_norm"
    if name not in expected.stages:
        return False
    found, want = trace[name][:, -1:], expected.stages[name][:, -1:]
    return compare_stage(name, found, want, limit).passed


def compare_stage(
    name: str,
    found: Array,
    want: Array,
    limit: Threshold,
    *,
    by_median: bool = False,
    judged: bool = True,
) -> StageRow:
    """Compares two arrays row by row along their last axis.

    Args:
        name: Of the stage.
        found: Of the model.
        want: Of the reference.
        limit: How close they have to be.
        by_median: Whether the cosine's limit is that of the median row, instead of every row.
        judged: Whether the limit holds; without, finite numbers pass.

    Raises:
        ValueError: Their shapes differ.
    """
    if found.shape != want.shape:
        raise ValueError(
            f"[verify] expected '{name}' of shape {list(want.shape)}, as in the reference; found "
            f"{list(found.shape)} in the model; give the golden or checkpoint it was converted "
            "from"
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
    cosine_min, cosine_median = float(cosines.min()), float(np.median(cosines))
    # Comparisons with NaN are false, so a broken stage never passes.
    close = math.isfinite(difference)
    if judged:
        close = close and (cosine_median if by_median else cosine_min) >= limit.cosine
        if limit.relative is not None:
            close = close and difference <= limit.relative * scale
        if limit.norm is not None:
            close = close and abs(ratio - 1) <= limit.norm
    return StageRow(
        stage=name,
        cosine_min=cosine_min,
        cosine_median=cosine_median,
        cosine_mean=float(cosines.mean()),
        max_difference=difference,
        norm_ratio=ratio,
        judged=judged,
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
