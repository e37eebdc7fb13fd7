"""What holds of every packed checkpoint and its plain twin, of the same numbers in floats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from crispvl import Model, _core
from crispvl.convert import convert_checkpoint, convert_header
from gguf import GGMLQuantizationType as Type
from goldens import min_cosine
from numpy.typing import NDArray

from foreign.checks import TILES, assert_computes_the_reference, image_prompt
from foreign.parts import ForeignModel

Checkpoints = tuple[Path, Path]
"""Packed and plain."""


def write_arrays(path: Path, tensors: dict[str, NDArray[Any]]) -> None:
    """Writes arrays in their own types and in their order, which safetensors' library changes."""
    kinds = {"int32": "I32", "uint8": "U8", "float16": "F16", "float32": "F32"}
    header, blobs, at = {}, [], 0
    for name, array in tensors.items():
        end = at + array.nbytes
        kind = kinds[array.dtype.name]
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [at, end]}
        blobs.append(array.tobytes())
        at = end
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def arrays_of(path: Path) -> dict[str, tuple[Type, NDArray[Any]]]:
    """The tensors of a file by name: their types, and their numbers in float32."""
    tensors = gguf.GGUFReader(path).tensors
    return {t.name: (t.tensor_type, gguf.dequantize(t.data, t.tensor_type)) for t in tensors}


def assert_unpacks_to_the_plain_one(checkpoints: Checkpoints, folder: Path, dtype: str) -> None:
    """Converted to a type that packs nothing, both are the same file."""
    convert_checkpoint(checkpoints[0], folder / "a.gguf", dtype)
    convert_checkpoint(checkpoints[1], folder / "b.gguf", dtype)
    want = arrays_of(folder / "b.gguf")
    for name, (kind, values) in arrays_of(folder / "a.gguf").items():
        assert kind == want[name][0], name
        np.testing.assert_array_equal(values, want[name][1], name)


def assert_both_compute_the_reference(
    checkpoints: Checkpoints, folder: Path, stage: str, least_cosine: float
) -> None:
    """Unpacked, every stage and the ids are the plain one's; packed, a stage is near it."""
    model = ForeignModel.load(checkpoints[1])
    convert_checkpoint(checkpoints[0], folder / "f32.gguf", "f32")
    assert_computes_the_reference(Model.load(folder / "f32.gguf", device="cpu"), model)
    convert_checkpoint(checkpoints[0], folder / "packed.gguf")
    prompt = image_prompt(model)
    found = Model.load(folder / "packed.gguf", device="cpu", exact=True).trace(TILES, prompt)
    want = model.reference.trace(TILES, prompt)
    assert min_cosine(found[stage], want[stage]) >= least_cosine


def assert_the_config_tells_the_header(
    checkpoints: Checkpoints, folder: Path, dtype: str | None = None
) -> None:
    """The packed one's header from its config alone is that of the converted file."""
    convert_checkpoint(checkpoints[0], folder / "whole.gguf", dtype)
    config = json.loads((checkpoints[0] / "config.json").read_text("utf-8"))
    convert_header(config, folder / "header.gguf", dtype)
    files = [_core.GgufFile(str(folder / name)) for name in ("header.gguf", "whole.gguf")]
    assert files[0].tensors == files[1].tensors
    assert files[0].metadata["general.file_type"] == files[1].metadata["general.file_type"]
