"""One tensor of the file: its name and shape, and where the checkpoint keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crispvl.convert.rows import Rows


@dataclass(frozen=True, kw_only=True)
class TensorPlan:
    """One tensor to write.

    Attributes:
        name: Name in the file.
        shape: Shape in the file, numpy order.
        sources: Names in the checkpoint; of several, one for each expert, each is a matrix.
        source_shape: Shape there; leading ones and the number of rows may differ from ``shape``.
        rows: Rows of each matrix or vector to take, in order; None for all.
        stacked: The source holds one matrix or vector for each expert.
        transposed: Its matrices are columns by rows.
        values: What is written instead, where the config and no tensor holds it.
        precise: Stays in float32 whatever the file's type.
        packed: The type of a file that keeps the blocks in which the checkpoint holds it; empty
            where it holds numbers.
    """

    name: str
    shape: tuple[int, ...]
    sources: tuple[str, ...] = ()
    source_shape: tuple[int, ...] = ()
    rows: Rows | None = None
    stacked: bool = False
    transposed: bool = False
    values: tuple[float, ...] = ()
    precise: bool = False
    packed: str = ""


def plain_plan(name: str, source: str, shape: tuple[int, ...]) -> TensorPlan:
    """A tensor that is taken as it is."""
    return TensorPlan(
        name=name, shape=shape, sources=(source,), source_shape=shape, precise=len(shape) == 1
    )


def norm_plans(name: str, source: str, width: int, bias: bool) -> Iterator[TensorPlan]:
    """Scale and, where there is one, offset."""
    for part in ("weight", "bias") if bias else ("weight",):
        yield plain_plan(f"{name}.{part}", f"{source}.{part}", (width,))


def linear_plans(
    name: str,
    source: str,
    n_rows: int,
    n_columns: int,
    *,
    bias: bool = False,
    n_source_rows: int | None = None,
    taken: Rows | None = None,
) -> Iterator[TensorPlan]:
    """Weight and, where there is one, bias.

    ``taken`` are the rows to take of the source's ``n_source_rows``; None for all.
    """
    n_source_rows = n_source_rows or n_rows
    yield TensorPlan(
        name=f"{name}.weight",
        shape=(n_rows, n_columns),
        sources=(f"{source}.weight",),
        source_shape=(n_source_rows, n_columns),
        rows=taken,
    )
    if bias:
        yield TensorPlan(
            name=f"{name}.bias",
            shape=(n_rows,),
            sources=(f"{source}.bias",),
            source_shape=(n_source_rows,),
            rows=taken,
            precise=True,
        )
