"""The recipe ``auto``: the smallest loss that a size allows.

Each matrix is tried in several types on a sample of its rows. What counts is the squared error of
its product relative to the product itself: every matrix writes into a residual stream of
normalised scale, so equal relative errors disturb it alike, whatever the matrix's size. Then, from
the smallest type everywhere, the step that removes most error per byte is taken until the size is
used up.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crispvl.quantize.assign import Assignment, Overrides
from crispvl.quantize.roles import Role, SourceTensor
from crispvl.quantize.tensor_types import fitting_type, tensor_type, tensor_types

_TEXT_TYPES = ("q2_k", "q3_k", "iq4_xs", "q4_k", "q5_k", "q6_k", "q8_0", "f16")
_VISION_TYPES = ("q8_0", "f16")

_SAMPLE_ROWS = 32

Rows = Callable[[SourceTensor, int], NDArray[np.float32]]
"""Some rows of a tensor, evenly spread: float32 ``[n_rows, n_columns]``."""


def assign_within(
    tensors: Sequence[SourceTensor],
    max_bytes: int,
    rows: Rows,
    overrides: Overrides = Overrides(),  # noqa: B008 - frozen
    *,
    importance: Mapping[str, NDArray[np.float32]] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    n_other_bytes: int = 0,
) -> list[Assignment]:
    """Chooses the types that lose least within a size.

    Args:
        tensors: Of the file to quantise.
        max_bytes: For the whole file.
        n_other_bytes: What the file holds besides tensors and their padding, at most.
        rows: Reads samples.
        overrides: Types that are settled.
        importance: Mean squared activation of each column, by tensor.
        progress: Called with a tensor's name, tensors tried and tensors in all.

    Raises:
        ValueError: Even the smallest types are too large.
    """
    overrides.check(tensors)
    choices: list[list[tuple[Assignment, float]]] = []
    for i, tensor in enumerate(tensors):
        if progress is not None:
            progress(tensor.name, i, len(tensors))
        columns = None if importance is None else importance.get(tensor.name)
        if columns is not None:  # the sample mixes rows of all experts
            columns = columns.reshape(-1, tensor.n_columns).mean(axis=0)
        choices.append(_choices(tensor, rows, overrides.type_of(tensor), columns))
    chosen = [0] * len(choices)
    n_bytes = n_other_bytes + sum(padded(options[0][0].n_bytes) for options in choices)
    if n_bytes > max_bytes:
        least_mb = math.ceil(n_bytes / 1e5) / 10
        raise ValueError(
            f"[quantize] expected a size of at least {least_mb} MB, all of the decoder "
            f"in the smallest types; found {max_bytes / 1e6:.1f} MB; allow more or take a smaller "
            "model"
        )
    steps = [step for i in range(len(choices)) if (step := _best_step(choices[i], 0, i))]
    heapq.heapify(steps)
    while steps:
        _, i, target = heapq.heappop(steps)
        cost = _cost(choices[i], chosen[i], target)
        if n_bytes + cost <= max_bytes:
            n_bytes += cost
            chosen[i] = target
            if step := _best_step(choices[i], target, i):
                heapq.heappush(steps, step)
        elif target > chosen[i] + 1 and (
            step := _best_step(choices[i][:target], chosen[i], i)  # a smaller step may still fit
        ):
            heapq.heappush(steps, step)
    return [options[c][0] for options, c in zip(choices, chosen, strict=True)]


def padded(n_bytes: int) -> int:
    """Size in the file, with the padding that follows."""
    return -(-n_bytes // 32) * 32


def _choices(
    tensor: SourceTensor, rows: Rows, settled: str | None, columns: NDArray[np.float32] | None
) -> list[tuple[Assignment, float]]:
    """The types to choose from with their errors, smallest first, each better than the last."""
    if settled is not None:
        kind = fitting_type(settled, tensor.n_columns)
        return [(Assignment(tensor, kind, settled), 0.0)]
    if tensor.role is Role.PRECISE or tensor.role is Role.PATCH:
        name = tensor.type if tensor.role is Role.PATCH and tensor.type == "f16" else "f32"
        return [(Assignment(tensor, tensor_type(name), name), 0.0)]
    names = _VISION_TYPES if tensor.role is Role.VISION else _TEXT_TYPES
    fitting = {fitting_type(name, tensor.n_columns).name for name in names}
    # More bits than the source has would be wasted.
    source_bits = tensor_types()[tensor.type].bits
    kinds = sorted((tensor_type(name) for name in fitting), key=lambda kind: kind.bits)
    kinds = [kind for kind in kinds if kind.bits <= source_bits] or kinds[:1]
    sample = rows(tensor, _SAMPLE_ROWS)
    found: list[tuple[Assignment, float]] = []
    for kind in kinds:
        if kind.bits == source_bits:  # the source itself, or as good
            kind = replace(tensor_types()[tensor.type])
            error = 0.0
        else:
            error = relative_error(sample, kind.name, columns)
        if not found or error < found[-1][1]:
            found.append((Assignment(tensor, kind, kind.name), error))
    return found


def relative_error(
    rows: NDArray[np.float32], kind: str, importance: NDArray[np.float32] | None
) -> float:
    """Squared error of ``rows`` in another type, relative to their square, weighted by column."""
    from crispvl._core import convert_rows

    n_columns = rows.shape[1]
    packed = convert_rows(rows.view(np.uint8).reshape(-1), "f32", kind, n_columns, importance)
    back = convert_rows(packed, kind, "f32", n_columns).view(np.float32).reshape(rows.shape)
    weights = np.ones(n_columns, np.float32) if importance is None else importance
    scale = float((rows.astype(np.float64) ** 2 @ weights).sum())
    return float(((back - rows).astype(np.float64) ** 2 @ weights).sum()) / scale if scale else 0.0


def _cost(options: Sequence[tuple[Assignment, float]], current: int, target: int) -> int:
    return padded(options[target][0].n_bytes) - padded(options[current][0].n_bytes)


def _best_step(
    options: Sequence[tuple[Assignment, float]], current: int, index: int
) -> tuple[float, int, int] | None:
    """The larger type with most error removed per byte: (negative gain, tensor, type)."""
    gains = [
        (
            (options[current][1] - options[target][1]) / max(_cost(options, current, target), 1),
            target,
        )
        for target in range(current + 1, len(options))
    ]
    if not gains:
        return None
    gain, target = max(gains)
    return -gain, index, target
