"""Applies a recipe and a user's overrides to the tensors of a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from crispvl.quantize.recipes import Recipe
from crispvl.quantize.roles import Role, SourceTensor
from crispvl.quantize.tensor_types import TensorType, fitting_type, tensor_type

# Chooses layers by index and their number; the first and the last hurt most when coarse.
LAYERS: dict[str, Callable[[int, int], bool]] = {
    "all": lambda i, n: True,
    "first two": lambda i, n: i < 2,
    "first four": lambda i, n: i < 4,
    "first sixteenth": lambda i, n: i < n // 16,
    "first eighth": lambda i, n: i < n // 8,
    "middle": lambda i, n: n // 8 <= i < 7 * n // 8,
    "more bits": lambda i, n: i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2,
}

_VISION_FLOOR_BITS = 8.0


@dataclass(frozen=True)
class Override:
    """Tensors whose name matches ``pattern`` (``*`` and ``?``) get ``type``."""

    pattern: str
    type: str

    @classmethod
    def parse(cls, text: str) -> Override:
        """Reads ``PATTERN=TYPE``.

        Raises:
            ValueError: It is something else.
        """
        pattern, separator, kind = text.rpartition("=")
        if not separator or not pattern:
            raise ValueError(
                f"[quantize] expected PATTERN=TYPE, like 'v.blk.*=q8_0'; found '{text}'; correct it"
            )
        return cls(pattern, tensor_type(kind).name)

    def __str__(self) -> str:
        return f"{self.pattern}={self.type}"


@dataclass(frozen=True)
class Overrides:
    """What a user asks of single tensors, whatever the recipe says.

    Attributes:
        given: The last that matches a tensor holds.
        force: Let them make the encoder coarser than q8_0.
    """

    given: Sequence[Override] = ()
    force: bool = False

    def type_of(self, tensor: SourceTensor) -> str | None:
        """Returns the type of a tensor, or None. Precise tensors stay as they are."""
        if tensor.role is Role.PRECISE:
            return None
        matching = [o.type for o in self.given if fnmatchcase(tensor.name, o.pattern)]
        return matching[-1] if matching else None

    def check(self, tensors: Sequence[SourceTensor]) -> None:
        """Raises ValueError for an override that matches nothing or may not be."""
        for override in self.given:
            matched = [t for t in tensors if fnmatchcase(t.name, override.pattern)]
            matched = [t for t in matched if t.role is not Role.PRECISE]
            if not matched:
                raise ValueError(
                    f"[quantize] expected '{override}' to match a weight matrix; found none among "
                    f"{len(tensors)} tensors; list their names with 'crispvl inspect --json'"
                )
            coarse = tensor_type(override.type).bits < _VISION_FLOOR_BITS
            encoder = [t.name for t in matched if t.role in (Role.VISION, Role.PATCH)]
            if coarse and encoder and not self.force:
                raise ValueError(
                    "[quantize] expected the encoder and projector in q8_0 or better; found "
                    f"'{override}', which coarsens {encoder[0]}; add --force if that is what you "
                    "want"
                )

    def __str__(self) -> str:
        return " ".join(map(str, self.given))


@dataclass(frozen=True)
class Assignment:
    """The type a tensor is written in; ``wanted`` differs where another had to replace it."""

    tensor: SourceTensor
    type: TensorType
    wanted: str

    @property
    def n_bytes(self) -> int:
        """Size in the file, without padding."""
        return self.tensor.n_values // self.type.block * self.type.block_bytes


def assign(
    tensors: Sequence[SourceTensor],
    recipe: Recipe,
    overrides: Overrides = Overrides(),
    *,
    importance: Collection[str] = (),
) -> list[Assignment]:
    """Chooses a type for every tensor.

    Args:
        tensors: Of the file to quantise.
        recipe: Types by role.
        overrides: Of the user.
        importance: Tensors that have an importance matrix.

    Raises:
        ValueError: An override that matches nothing, or that coarsens the encoder unasked; a type
            that needs an importance matrix where there is none at all.
    """
    overrides.check(tensors)
    n_layers = 1 + max((t.layer for t in tensors if t.layer is not None), default=0)
    assigned = []
    for tensor in tensors:
        wanted = overrides.type_of(tensor) or _by_recipe(tensor, recipe, n_layers)
        kind = _with_importance(wanted, tensor, importance)
        if tensor_type(kind).block > 1 and tensor.n_columns % tensor_type(kind).block:
            kind = recipe.fallbacks.get(kind, kind)
        assigned.append(Assignment(tensor, fitting_type(kind, tensor.n_columns), wanted))
    return assigned


def _by_recipe(tensor: SourceTensor, recipe: Recipe, n_layers: int) -> str:
    if tensor.role is Role.PRECISE:
        return "f32"
    if tensor.role is Role.PATCH:
        # Rows fit no block, and the kernel is small.
        if recipe.vision in ("f16", "f32"):
            return recipe.vision
        return "f16" if tensor.type == "f16" else "f32"
    if tensor.role is Role.VISION:
        return recipe.vision
    if tensor.role is Role.HEAD:
        return recipe.head or recipe.text
    if tensor.role is Role.TABLE:
        return recipe.table or recipe.text
    for rule in reversed(recipe.rules):
        layer = tensor.layer or 0
        if fnmatchcase(tensor.name, rule.pattern) and LAYERS[rule.layers](layer, n_layers):
            return rule.type
    return recipe.text


# Where a matrix lacks an importance of its own, the next type that does without.
_WITHOUT_IMPORTANCE: Mapping[str, str] = {"iq1_s": "q2_k", "iq2_xxs": "q2_k", "iq2_xs": "q2_k"}


def _with_importance(kind: str, tensor: SourceTensor, importance: Collection[str]) -> str:
    fits = tensor.n_columns % tensor_type(kind).block == 0
    if not tensor_type(kind).needs_importance or not fits or tensor.name in importance:
        return kind
    if importance:
        return _WITHOUT_IMPORTANCE[kind]
    raise ValueError(
        f"[quantize] expected an importance matrix for {kind} ({tensor.name}); found none; make "
        "one with 'crispvl imatrix' and give it with --imatrix, or choose a larger type"
    )
