"""File in, smaller file out: what ``crispvl quantize`` calls."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from gguf import GGML_QUANT_VERSION
from gguf import LlamaFileType as FileType
from numpy.typing import NDArray

from crispvl._version import __version__
from crispvl.errors import ModelFileError
from crispvl.hub.hashing import file_sha256
from crispvl.quantize.assign import Assignment, Override, Overrides, assign
from crispvl.quantize.budget import assign_within, padded
from crispvl.quantize.importance import ImportanceMatrix, read_importance
from crispvl.quantize.recipes import AUTO, Recipe, find_recipe
from crispvl.quantize.roles import Role, SourceTensor, source_tensors
from crispvl.results.outputs import check_outputs, whole_files

if TYPE_CHECKING:
    from crispvl._core import CancelToken, GgufFile

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class QuantizeReport:
    """What was written.

    Attributes:
        path: The file.
        recipe: Name of the recipe.
        n_bytes: Size of the file.
        source_bytes: Size of the file it was made from.
        bits_per_weight: Over all tensors.
        types: Number of tensors by type.
        fallbacks: Tensors whose rows did not fit the type wanted: name, wanted, written.
        warnings: What a user should know, in sentences.
        elapsed_s: Seconds it took.
    """

    path: Path
    recipe: str
    n_bytes: int
    source_bytes: int
    bits_per_weight: float
    types: Mapping[str, int]
    fallbacks: tuple[tuple[str, str, str], ...]
    warnings: tuple[str, ...]
    elapsed_s: float


def quantize_file(
    source: str | Path,
    output: str | Path,
    recipe: str,
    *,
    max_bytes: int | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
    imatrix: str | Path | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> QuantizeReport:
    """Writes a model file with tensors of other types.

    Args:
        source: A single file of any layout, or one file of a pair; best in 16 bits or more. Any
            part of a split file names all of it. Keys and names stay as they are.
        output: File to write; it appears only when it is complete.
        recipe: A name of `crispvl.quantize.recipes.RECIPES`, or ``auto`` with ``max_bytes``.
        max_bytes: Size of the whole file that ``auto`` has to meet.
        overrides: ``PATTERN=TYPE``; the last that matches a tensor holds.
        force: Let overrides make encoder and projector coarser than q8_0.
        imatrix: Importance matrix of the model, see `crispvl.evaluation.imatrix`.
        threads: CPU threads; None means one per usable core.
        progress: Called with a tensor's name, the bytes written so far and those in all.
        cancel: Stops within some rows; nothing stays behind.

    Raises:
        ValueError: An unknown recipe or type, what the types do not allow, or an output that is an
            input, a folder, a FIFO or a device.
        FileNotFoundError: No such file, or no folder for the output.
        ModelFileError: The file is damaged, no InternVL, or holds numbers that are not finite.
        Cancelled: Stopped by ``cancel``.
    """
    from crispvl._core import GgufFile

    started = time.monotonic()
    source, output = Path(source), Path(output)
    asked = Overrides([Override.parse(text) for text in overrides], force)
    file = GgufFile(str(source))
    sources = file.paths
    check_outputs([output], [*sources, imatrix], regular=True)
    tensors = source_tensors(file.tensors)
    importance = None if imatrix is None else _matching(read_importance(imatrix), tensors)
    columns = {} if importance is None else importance.columns
    name, chosen = _find(recipe, max_bytes)
    file_type = chosen.file_type if isinstance(chosen, Recipe) else FileType.GUESSED
    keys = _provenance(name, asked, int(file_type), file_sha256(*sources), importance)
    if isinstance(chosen, Recipe):
        assigned = assign(tensors, chosen, asked, importance=columns)
    else:
        assigned = assign_within(
            tensors,
            chosen,
            _reader(file),
            asked,
            importance=columns,
            progress=None
            if progress is None
            else lambda n, i, total: progress(f"trying {n}", i, total),
            n_other_bytes=_header_bytes(sources, file, keys),
        )
    with whole_files([output], durable=True) as [part]:
        file.quantize(
            part,
            {a.tensor.stored_name: a.type.name for a in assigned if a.type.name != a.tensor.type},
            {t.stored_name: columns[t.name] for t in tensors if t.name in columns},
            keys,
            ["quantize.imatrix.", "crispvl.quantize."],
            threads or 0,
            progress,
            cancel,
        )
    return _report(output, sources, name, assigned, time.monotonic() - started)


def _find(recipe: str, max_bytes: int | None) -> tuple[str, Recipe | int]:
    """Returns a recipe's name with its types; for ``auto`` with the size that chooses them."""
    if recipe.lower() == AUTO:
        if max_bytes is None:
            raise ValueError("[quantize] expected a size for auto; found none; add --size 1.2GB")
        return AUTO, max_bytes
    if max_bytes is not None:
        raise ValueError(
            f"[quantize] expected a size with auto only; found one with '{recipe}'; leave "
            "--size out, or choose auto"
        )
    return find_recipe(recipe)


def _matching(matrix: ImportanceMatrix, tensors: Sequence[SourceTensor]) -> ImportanceMatrix:
    """Keeps what belongs to this file; a matrix of another model is refused."""
    by_name = {t.name: t for t in tensors if t.role not in (Role.PRECISE, Role.PATCH)}
    # Queries, keys and values meet the same input; some files keep them in one matrix.
    measured = {name: name.replace(".attn_qkv.", ".attn_q.") for name in by_name}
    columns = {
        name: matrix.columns[measured[name]] for name in by_name if measured[name] in matrix.columns
    }
    wrong = [name for name, values in columns.items() if values.size != _n_measured(by_name[name])]
    if wrong or not columns:
        found = (
            f"'{wrong[0]}' has {columns[wrong[0]].size} columns instead of "
            f"{_n_measured(by_name[wrong[0]])}"
            if wrong
            else "none of its tensors"
        )
        raise ModelFileError(
            f"[imatrix] expected an importance matrix of this model; found {found} in "
            f"'{matrix.name}'; make one with 'crispvl imatrix' and this model"
        )
    return ImportanceMatrix(columns, matrix.datasets, matrix.n_chunks, matrix.name, matrix.sha256)


def _n_measured(tensor: SourceTensor) -> int:
    """Columns with an importance: those of each expert where it holds several."""
    n_experts = tensor.shape[0] if len(tensor.shape) == 3 else 1
    return n_experts * tensor.n_columns


def _reader(file: GgufFile) -> Callable[[SourceTensor, int], NDArray[np.float32]]:
    from crispvl._core import convert_rows

    def rows(tensor: SourceTensor, n: int) -> NDArray[np.float32]:
        data = file.data(tensor.stored_name)
        n_rows = tensor.n_values // tensor.n_columns
        picked = np.linspace(0, n_rows - 1, min(n, n_rows)).astype(np.int64)
        sample = np.ascontiguousarray(data.reshape(n_rows, -1)[picked]).reshape(-1)
        values = convert_rows(sample, tensor.type, "f32", tensor.n_columns, None, tensor.name)
        return values.view(np.float32).reshape(len(picked), tensor.n_columns)

    return rows


def _header_bytes(sources: Sequence[Path], file: GgufFile, keys: Mapping[str, str | int]) -> int:
    """Bytes of the new header at most: those of the old one, and all keys as if they were new."""
    old = _n_bytes(sources) - sum(padded(t["n_bytes"]) for t in file.tensors)
    return padded(old + sum(_key_bytes(key, value) for key, value in keys.items()))


def _key_bytes(key: str, value: str | int) -> int:
    """Bytes of a pair in a GGUF file: a text has a length of 8 bytes before it, a type has 4."""
    n_value_bytes = 8 + len(value.encode()) if isinstance(value, str) else 4
    return 8 + len(key.encode()) + 4 + n_value_bytes


def _n_bytes(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _provenance(
    recipe: str,
    overrides: Overrides,
    file_type: int,
    parent_sha256: str,
    importance: ImportanceMatrix | None,
) -> dict[str, str | int]:
    keys: dict[str, str | int] = {
        "general.file_type": file_type,
        "general.quantization_version": GGML_QUANT_VERSION,
        "crispvl.quantize.recipe": recipe,
        "crispvl.quantize.overrides": str(overrides),
        "crispvl.quantize.parent_sha256": parent_sha256,
        "crispvl.quantize.version": __version__,
    }
    if importance is not None:
        keys |= {
            "quantize.imatrix.file": importance.name,
            "quantize.imatrix.dataset": ", ".join(importance.datasets),
            "quantize.imatrix.entries_count": len(importance.columns),
            "quantize.imatrix.chunks_count": importance.n_chunks,
            "crispvl.quantize.imatrix_sha256": importance.sha256,
        }
    return keys


def _report(
    output: Path,
    sources: Sequence[Path],
    recipe: str,
    assigned: Sequence[Assignment],
    elapsed_s: float,
) -> QuantizeReport:
    coarse = sorted(
        {
            a.tensor.type
            for a in assigned
            if a.tensor.type not in ("f32", "f16", "bf16", a.type.name)
        }
    )
    warnings = []
    if coarse:
        warnings.append(
            f"the source holds {', '.join(coarse)} already, and what was lost there stays lost; "
            "quantise a 16-bit file instead"
        )
    return QuantizeReport(
        path=output,
        recipe=recipe,
        n_bytes=output.stat().st_size,
        source_bytes=_n_bytes(sources),
        bits_per_weight=8
        * sum(a.n_bytes for a in assigned)
        / sum(a.tensor.n_values for a in assigned),
        types=dict(Counter(a.type.name for a in assigned)),
        fallbacks=tuple(
            (a.tensor.name, a.wanted, a.type.name)
            for a in assigned
            if a.type.name != a.wanted and a.tensor.role is not Role.PRECISE
        ),
        warnings=tuple(warnings),
        elapsed_s=elapsed_s,
    )
