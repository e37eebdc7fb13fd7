"""What to lower when a model does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from crispvl.errors import CrispVLError
from crispvl.plan.memory_plan import DevicePlan, MemoryPlan
from crispvl.quantize.assign import assign
from crispvl.quantize.recipes import RECIPES
from crispvl.quantize.roles import source_tensors

_TILES = (9, 6, 4, 2, 1)
_RECIPES = ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "iq4_xs", "q3_k_m", "q2_k")


class Planner(Protocol):
    """Makes a plan of the same model for other numbers."""

    def plan(self, n_pages: int, max_tiles: int, n_ctx: int | None) -> MemoryPlan: ...


def advise(
    tensors: Sequence[dict[str, Any]],
    devices: Sequence[DevicePlan],
    planner: Planner,
    plan: MemoryPlan,
    max_tiles: int,
    n_ctx: int | None,
) -> Iterator[str]:
    """Yields what would make it fit, the smallest loss first; at the end what is still missing."""
    if plan.n_pages > 1 and planner.plan(1, max_tiles, n_ctx).fits:
        yield "read one page at a time (--pages 1)"
        return
    for tiles in _TILES:
        if tiles < max_tiles and planner.plan(plan.n_pages, tiles, n_ctx).fits:
            yield f"lower the tiles of a page to {tiles} (--tiles {tiles}, max_tiles={tiles})"
            return
    missing = max((d.peak - d.room for d in devices if d.room is not None), default=0)
    weights = sum(d.weights for d in devices)
    for recipe in _RECIPES:
        smaller = _recipe_bytes(tensors, recipe)
        if smaller is not None and weights - smaller >= missing:
            yield (
                f"make the file smaller: 'crispvl quantize IN OUT {recipe}' makes weights of "
                f"{smaller / 1e9:.2f} GB out of {weights / 1e9:.2f} GB"
            )
            return
    yield f"{missing / 1e9:.2f} GB are missing; take a smaller model or a larger machine"
    if len(devices) > 1:
        yield "use the host's memory (--device cpu)"


def _recipe_bytes(tensors: Sequence[dict[str, Any]], recipe: str) -> int | None:
    """Size of the weights by a recipe; None for a file that `quantize` does not take."""
    # A model names its tensors in our way, whatever its file does.
    named = [{**tensor, "canonical_name": tensor["name"]} for tensor in tensors]
    try:
        assigned = assign(source_tensors(named), RECIPES[recipe])
    except CrispVLError:
        return None
    return sum(a.n_bytes for a in assigned)
