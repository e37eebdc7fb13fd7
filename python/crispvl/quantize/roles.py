"""What each tensor of a file is for, by its name and shape."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from crispvl.errors import ModelFileError


class Role(Enum):
    """Tensors of one role are treated alike by a recipe."""

    PRECISE = auto()  # norms, biases, scales, class and position embeddings: float32
    PATCH = auto()  # the patch kernel, whose rows fit no block
    VISION = auto()  # encoder and projector
    TABLE = auto()  # token embedding
    HEAD = auto()  # output head, or a token table that serves as one
    TEXT = auto()  # the decoder's matrices


@dataclass(frozen=True)
class SourceTensor:
    """One tensor of the file to quantise.

    ``name`` is crispvl's and ``stored_name`` the file's; ``layer`` is None outside the decoder's
    blocks.
    """

    name: str
    stored_name: str
    shape: tuple[int, ...]
    type: str
    role: Role
    layer: int | None

    @property
    def n_values(self) -> int:
        """Number of weights."""
        product = 1
        for length in self.shape:
            product *= length
        return product

    @property
    def n_columns(self) -> int:
        """Values in a row: the input width of a matrix."""
        return self.shape[-1]


_BLOCK = re.compile(r"blk\.(\d+)\.")
_KNOWN = ("blk.", "v.", "mm.", "token_embd.", "output.", "output_norm.", "rope_")


_SUFFIXES = (".weight", ".bias", "v.class_embd")


def source_tensors(tensors: Sequence[dict[str, Any]]) -> list[SourceTensor]:
    """Finds the role of every tensor of a text, projector or single file, whatever its layout.

    Args:
        tensors: As `_core.GgufFile.tensors` lists them.

    Raises:
        ModelFileError: The names are not those of an InternVL.
    """
    names = {tensor["canonical_name"] for tensor in tensors}
    unknown = [n for n in names if not n.startswith(_KNOWN) or not n.endswith(_SUFFIXES)]
    if unknown or not names:
        raise ModelFileError(
            "[quantize] expected an InternVL in a layout crispvl knows; found "
            f"{f'a tensor {min(unknown)!r}' if unknown else 'no tensors'}; convert the checkpoint "
            "with 'crispvl convert' first"
        )
    has_head = "output.weight" in names
    found = []
    for tensor in tensors:
        name, shape = tensor["canonical_name"], tuple(tensor["shape"])
        block = _BLOCK.match(name)
        found.append(
            SourceTensor(
                name=name,
                stored_name=tensor["name"],
                shape=shape,
                type=tensor["type"].lower(),
                role=_role(name, shape, has_head),
                layer=int(block[1]) if block else None,
            )
        )
    return found


def _role(name: str, shape: tuple[int, ...], has_head: bool) -> Role:
    if name.startswith("v.patch_embd.weight"):
        return Role.PATCH
    matrix = len(shape) > 1 and name.endswith(".weight")
    if not matrix or name.startswith(("v.position_embd", "v.class_embd")):
        return Role.PRECISE
    if ".ffn_gate_inp." in name:  # the router, whose logits decide which expert computes at all
        return Role.PRECISE
    if name.startswith(("v.", "mm.")):
        return Role.VISION
    if name.startswith("token_embd."):
        return Role.TABLE if has_head else Role.HEAD
    return Role.HEAD if name.startswith("output.") else Role.TEXT
