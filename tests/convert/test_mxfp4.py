"""gpt-oss's experts in MXFP4, as published: the blocks survive conversion."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from crispvl.convert import convert_checkpoint
from crispvl.convert.mxfp4 import Mxfp4Tensor, unpack_experts
from crispvl.convert.packing import unpack_weights
from crispvl.convert.safetensors import read_safetensors
from crispvl.convert.stored_tensor import StoredTensor
from crispvl.errors import ModelFileError
from foreign.packed import (
    arrays_of,
    assert_both_compute_the_reference,
    assert_the_config_tells_the_header,
    assert_unpacks_to_the_plain_one,
    write_arrays,
)
from gguf import GGMLQuantizationType as Type
from numpy.typing import NDArray
from tiny import make_checkpoint
from tiny.rows import row

# E2M1: a sign, two bits of exponent, one of mantissa.
VALUES = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]
PROJECTIONS = ("gate_up_proj", "down_proj")


def experts(seed: int, n: int, n_outputs: int, n_inputs: int) -> dict[str, NDArray[np.uint8]]:
    """Random blocks and scales of one projection."""
    rng = np.random.default_rng(seed)
    shape = (n, n_outputs, n_inputs // 32)
    return {
        "_blocks": rng.integers(0, 256, (*shape, 16), np.uint8),
        "_scales": rng.integers(122, 126, shape, np.uint8),
    }


def numbers(parts: dict[str, NDArray[np.uint8]]) -> NDArray[np.float32]:
    """What they are, number by number: ``[n, n_inputs, n_outputs]`` as in bfloat16 checkpoints."""
    blocks, scales = parts["_blocks"], parts["_scales"]
    n, n_outputs, n_blocks = scales.shape
    out = np.empty((n, n_outputs, n_blocks * 32), np.float32)
    for index in np.ndindex(n, n_outputs, n_blocks, 16):
        byte, factor = int(blocks[index]), 2.0 ** (int(scales[index[:3]]) - 127)
        column = index[2] * 32 + 2 * index[3]
        out[index[0], index[1], column : column + 2] = [
            factor * VALUES[byte & 15],
            factor * VALUES[byte >> 4],
        ]
    return out.transpose(0, 2, 1)


@pytest.fixture
def checkpoints(tmp_path: Path) -> tuple[Path, Path]:
    """A checkpoint with packed experts, and one with the same numbers in float32."""
    checkpoint = make_checkpoint(row("gpt-oss"), tmp_path / "checkpoint")
    tensors = read_safetensors(checkpoint / "model.safetensors")
    plain = {name: np.array(tensor.load()) for name, tensor in tensors.items()}
    packed = dict(plain)
    for seed, name in enumerate(n for n in plain if n.endswith(PROJECTIONS)):
        n, n_inputs, n_outputs = plain[name].shape
        parts = experts(seed, n, n_outputs, n_inputs)
        packed |= {name + part: array for part, array in parts.items()}
        plain[name] = numbers(parts)
        del packed[name]
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    folders = (tmp_path / "packed", tmp_path / "plain")
    for folder, arrays in zip(folders, (packed, plain), strict=True):
        shutil.copytree(checkpoint, folder)
        write_arrays(folder / "model.safetensors", arrays)
    config["llm_config"]["quantization_config"] = {"quant_method": "mxfp4"}
    (folders[0] / "config.json").write_text(json.dumps(config), "utf-8")
    return folders


def test_the_blocks_are_kept_without_being_asked_and_lose_nothing(
    checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    convert_checkpoint(checkpoints[0], tmp_path / "a.gguf")
    convert_checkpoint(checkpoints[1], tmp_path / "b.gguf", "f32")
    want = arrays_of(tmp_path / "b.gguf")
    n_packed = 0
    for name, (kind, values) in arrays_of(tmp_path / "a.gguf").items():
        if name.endswith("_exps.weight"):
            n_packed += 1
            assert kind == Type.MXFP4, name
            np.testing.assert_array_equal(values, want[name][1], name)
        else:
            assert kind in (Type.BF16, Type.F32), name
    assert n_packed == 2 * 3


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "q8_0"])
def test_other_types_are_those_of_the_checkpoint_in_numbers(
    dtype: str, checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    assert_unpacks_to_the_plain_one(checkpoints, tmp_path, dtype)


def test_the_engine_computes_the_reference(checkpoints: tuple[Path, Path], tmp_path: Path) -> None:
    assert_both_compute_the_reference(checkpoints, tmp_path, "llm_embed", 0.9999)


def test_the_config_alone_gives_the_header_of_the_converted_file(
    checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    assert_the_config_tells_the_header(checkpoints, tmp_path)


def test_mxfp4_of_another_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("base"), tmp_path / "checkpoint")
    with pytest.raises(ValueError, match=r"checkpoints of MXFP4 experts only; .*crispvl quantize"):
        convert_checkpoint(checkpoint, tmp_path / "a.gguf", "mxfp4")


def stored(array: NDArray[Any]) -> StoredTensor:
    return StoredTensor("U8", array.shape, lambda: array)


def test_an_exponent_that_is_no_number_is_refused(
    checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    path = checkpoints[0] / "model.safetensors"
    tensors = {name: np.array(t.load()) for name, t in read_safetensors(path).items()}
    scales = next(name for name in tensors if name.endswith("down_proj_scales"))
    tensors[scales][1, 2, 0] = 255
    write_arrays(path, tensors)
    with pytest.raises(ModelFileError, match="expected numbers that float32 holds"):
        convert_checkpoint(checkpoints[0], tmp_path / "a.gguf")


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"_blocks": (2, 4, 1, 16)}, "blocks and scales; found only one of them"),
        (
            {"": (2, 32, 4), "_blocks": (2, 4, 1, 16), "_scales": (2, 4, 1)},
            "found the experts unpacked as well",
        ),
        ({"_blocks": (2, 4, 1, 8), "_scales": (2, 4, 1)}, "blocks of 16 bytes"),
        ({"_blocks": (2, 4, 2, 16), "_scales": (2, 4, 1)}, "blocks of 16 bytes"),
        ({"_blocks": (4, 1, 16), "_scales": (4, 1)}, "experts of rows of blocks"),
    ],
)
def test_parts_that_do_not_fit_are_refused(shapes: dict[str, Any], message: str) -> None:
    weights = {f"a{part}": stored(np.zeros(shape, np.uint8)) for part, shape in shapes.items()}
    with pytest.raises(ModelFileError, match=message):
        unpack_experts(weights)


def test_bytes_elsewhere_are_refused() -> None:
    with pytest.raises(ModelFileError, match="expected floating point; found uint8"):
        unpack_weights({"a.weight": stored(np.zeros((2, 2), np.uint8))}, {})


def test_rows_come_in_the_order_asked_for() -> None:
    parts = experts(3, 2, 8, 64)
    (tensor,) = unpack_experts({f"a{k}": stored(v) for k, v in parts.items()}).values()
    assert isinstance(tensor, Mxfp4Tensor)
    index = np.array([5, 0, 7])
    np.testing.assert_array_equal(tensor.values(1, index), numbers(parts)[1].T[index])
    blocks = gguf.dequantize(tensor.blocks(1, index), Type.MXFP4)
    np.testing.assert_array_equal(blocks, numbers(parts)[1].T[index])
    np.testing.assert_array_equal(tensor.load(), numbers(parts))
