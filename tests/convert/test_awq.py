"""4-bit AWQ checkpoints: the packed weights survive conversion."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from crispvl import _core
from crispvl.convert import convert_checkpoint, convert_header
from crispvl.convert.awq import AwqTensor
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
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from tiny import make_checkpoint
from tiny.rows import row, variant

# Zeros whose product with any scale, or its complement's, is a float16 number.
EXACT_ZEROS = (0, 1, 2, 4, 7, 8, 11, 13, 14, 15)

SETTINGS = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm",
            "zero_point": True}  # fmt: skip


def pack(codes: NDArray[Any]) -> NDArray[np.int32]:
    """Eight columns in a word, as autoawq's GEMM layout orders them."""
    words = np.zeros((codes.shape[0], codes.shape[1] // 8), np.uint32)
    for i, column in enumerate((0, 2, 4, 6, 1, 3, 5, 7)):
        words |= codes[:, column::8].astype(np.uint32) << np.uint32(4 * i)
    return words.view(np.int32)


def quantise(weight: NDArray[Any], n_group: int) -> tuple[NDArray[Any], ...]:
    """Codes ``[inputs, outputs]``, zeros and float16 scales ``[groups, outputs]``."""
    groups = weight.T.reshape(-1, n_group, weight.shape[0])
    low, high = np.minimum(groups.min(1), 0), np.maximum(groups.max(1), 0)
    scales = np.maximum((high - low) / 15, 1e-4).astype(np.float16)
    zeros = np.clip(np.rint(-low / scales.astype(np.float64)), 0, 15).astype(np.uint8)
    codes = np.rint(groups / scales[:, None].astype(np.float64)) + zeros[:, None]
    return np.clip(codes, 0, 15).astype(np.uint8).reshape(weight.shape[::-1]), zeros, scales


def dequantise(codes: NDArray[Any], zeros: NDArray[Any], scales: NDArray[Any]) -> NDArray[Any]:
    """``scale * (code - zero)`` as float64 ``[outputs, inputs]``."""
    n_group = len(codes) // len(zeros)
    wide = [np.repeat(a.astype(np.float64), n_group, axis=0) for a in (zeros, scales)]
    return (wide[1] * (codes - wide[0])).T


def stored(array: NDArray[Any]) -> StoredTensor:
    kind = {"int32": "I32", "float16": "F16"}[array.dtype.name]
    return StoredTensor(kind, array.shape, lambda: array)


def awq_tensor(codes: NDArray[Any], zeros: NDArray[Any], scales: NDArray[Any]) -> AwqTensor:
    weights = {
        "a.qweight": stored(pack(codes)),
        "a.qzeros": stored(pack(zeros)),
        "a.scales": stored(scales),
    }
    settings = {**SETTINGS, "group_size": len(codes) // len(zeros)}
    (tensor,) = unpack_weights(weights, {"quantization_config": settings}).values()
    assert isinstance(tensor, AwqTensor)
    return tensor


def numbers(tensor: AwqTensor, index: NDArray[Any] | None = None) -> NDArray[np.float32]:
    index = np.arange(tensor.shape[0]) if index is None else index
    values: NDArray[np.float32] = gguf.dequantize(tensor.blocks(0, index), Type.Q4_1)
    return values


SCALES = arrays(np.float16, (2, 16), elements=st.floats(2**-12, 8, width=16))


@given(SCALES, st.sampled_from(EXACT_ZEROS), st.integers(0, 2**32 - 1))
def test_blocks_are_exact_for_most_zeros(scales: Any, zero: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 16, (256, 16), np.uint8)
    zeros = np.full((2, 16), zero, np.uint8)
    np.testing.assert_array_equal(
        numbers(awq_tensor(codes, zeros, scales)), dequantise(codes, zeros, scales)
    )


@given(SCALES, st.integers(0, 15), st.integers(0, 2**32 - 1))
def test_blocks_are_never_off_by_more_than_the_rounding_of_m(
    scales: Any, zero: int, seed: int
) -> None:
    codes = np.random.default_rng(seed).integers(0, 16, (256, 16), np.uint8)
    zeros = np.full((2, 16), zero, np.uint8)
    error = numbers(awq_tensor(codes, zeros, scales)) - dequantise(codes, zeros, scales)
    bound = np.repeat(scales.T.astype(np.float64), 128, axis=1) * 6 / 2048
    assert (np.abs(error) <= bound * (1 + 1e-6)).all()


def test_a_group_of_128_is_four_blocks_with_one_scale_and_minimum() -> None:
    rng = np.random.default_rng(1)
    parts = quantise(rng.standard_normal((16, 256)), 128)
    blocks = awq_tensor(*parts).blocks(0, np.arange(16)).reshape(16, 2, 4, 20)
    heads = blocks[..., :4]
    assert (heads == heads[:, :, :1]).all()
    d = np.ascontiguousarray(heads[:, :, 0, :2]).view(np.float16)[..., 0]
    np.testing.assert_array_equal(np.abs(d), parts[2].T)


def test_dequantised_rows_are_exact_and_in_the_order_asked_for() -> None:
    parts = quantise(np.random.default_rng(2).standard_normal((24, 64)), 32)
    index = np.array([5, 0, 23, 8])
    want = dequantise(*parts)[index]
    np.testing.assert_array_equal(awq_tensor(*parts).values(0, index), want)
    assert np.abs(numbers(awq_tensor(*parts), index) - want).max() <= 6 / 2048 * parts[2].max()


def awq_checkpoint(checkpoint: Path, settings: dict[str, Any] = SETTINGS) -> tuple[Path, Path]:
    """The checkpoint with its text matrices packed, and one with what they stand for."""
    arrays = {
        n: np.array(t.load()) for n, t in read_safetensors(checkpoint / "model.safetensors").items()
    }
    packed: dict[str, NDArray[Any]] = {}
    plain = dict(arrays)
    for name, array in arrays.items():
        inner = ".layers." in name and name.startswith("language_model") and array.ndim == 2
        if not inner:
            packed[name] = array
            continue
        codes, zeros, scales = quantise(array, 32)
        module = name.removesuffix(".weight")
        packed |= {f"{module}.qweight": pack(codes), f"{module}.qzeros": pack(zeros),
                   f"{module}.scales": scales}  # fmt: skip
        plain[name] = dequantise(codes, zeros, scales).astype(np.float32)
    folders = []
    for suffix, tensors in (("awq", packed), ("plain", plain)):
        folder = checkpoint.with_name(f"{checkpoint.name}-{suffix}")
        shutil.copytree(checkpoint, folder)
        write_arrays(folder / "model.safetensors", tensors)
        folders.append(folder)
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    config["llm_config"]["quantization_config"] = settings
    (folders[0] / "config.json").write_text(json.dumps(config), "utf-8")
    return folders[0], folders[1]


@pytest.fixture(params=["base", "internlm2", "llama-hf"])
def checkpoints(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """Packed and plain; of InternLM2 with its fused wqkv packed, of Llama with permuted rows."""
    tiny = variant(row(request.param), layout="chat")
    return awq_checkpoint(make_checkpoint(tiny, tmp_path / "checkpoint"))


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_other_types_are_those_of_the_dequantised_checkpoint(
    dtype: str, checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    assert_unpacks_to_the_plain_one(checkpoints, tmp_path, dtype)


def test_packed_matrices_become_q4_1_without_being_asked(
    checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    convert_checkpoint(checkpoints[0], tmp_path / "a.gguf")
    convert_checkpoint(checkpoints[1], tmp_path / "b.gguf", "f32")
    want = arrays_of(tmp_path / "b.gguf")
    n_packed = 0
    for name, (kind, values) in arrays_of(tmp_path / "a.gguf").items():
        if name.startswith("blk.") and want[name][1].ndim == 2:
            n_packed += 1
            assert kind == Type.Q4_1, name
            largest = np.abs(want[name][1]).max()
            assert np.abs(values - want[name][1]).max() <= 1e-3 * largest, name
        else:
            assert kind in (Type.F16, Type.F32), name
    assert n_packed == 2 * 7


def test_engine_computes_the_reference_on_the_dequantised_weights(
    checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    # What is left is ggml's rounding of activations to 8 bits.
    assert_both_compute_the_reference(checkpoints, tmp_path, "logits", 0.995)


def test_a_pytorch_file_gives_the_same_blocks(
    checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    packed = checkpoints[0]
    convert_checkpoint(packed, tmp_path / "a.gguf")
    tensors = read_safetensors(packed / "model.safetensors")
    state = {name: torch.from_numpy(np.array(tensor.load())) for name, tensor in tensors.items()}
    torch.save(state, packed / "pytorch_model.bin")
    (packed / "model.safetensors").unlink()
    convert_checkpoint(packed, tmp_path / "b.gguf")
    files = [gguf.GGUFReader(tmp_path / name).tensors for name in ("a.gguf", "b.gguf")]
    contents = [{t.name: (t.tensor_type, t.data.tobytes()) for t in file} for file in files]
    assert contents[0] == contents[1]


@pytest.mark.parametrize("dtype", [None, "f16", "q8_0"])
def test_the_config_alone_gives_the_header_of_the_converted_file(
    dtype: str | None, checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    assert_the_config_tells_the_header(checkpoints, tmp_path, dtype)


def test_modules_that_are_not_packed_stay_float16(
    checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    config = json.loads((checkpoints[0] / "config.json").read_text("utf-8"))
    settings = config["llm_config"]["quantization_config"]
    settings["modules_to_not_convert"] = ["layers.1."]
    convert_header(config, tmp_path / "header.gguf")
    tensors = _core.GgufFile(str(tmp_path / "header.gguf")).tensors
    kinds = {t["name"]: t["type"] for t in tensors}
    assert (kinds["blk.0.ffn_up.weight"], kinds["blk.1.ffn_up.weight"]) == ("q4_1", "f16")


def test_a_header_in_q4_1_needs_an_awq_config(
    checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    config = json.loads((checkpoints[1] / "config.json").read_text("utf-8"))
    with pytest.raises(ValueError, match="4-bit AWQ checkpoints only"):
        convert_header(config, tmp_path / "header.gguf", "q4_1")
    config["llm_config"]["quantization_config"] = {**SETTINGS, "bits": 8}
    with pytest.raises(ModelFileError, match="expected 'bits' to be 4"):
        convert_header(config, tmp_path / "header.gguf")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 8}, "expected 'bits' to be 4"),
        ({"version": "gemv"}, "expected 'version' to be"),
        ({"group_size": 48}, "groups of a multiple of 32"),
        ({"group_size": 64}, "int32 zeros and float16 scales of 1 groups"),
    ],
)
def test_other_packings_are_refused(settings: Any, message: str, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("base"), tmp_path / "checkpoint")
    packed, _ = awq_checkpoint(checkpoint, {**SETTINGS, **settings})
    with pytest.raises(ModelFileError, match=message):
        convert_checkpoint(packed, tmp_path / "a.gguf")


def test_a_missing_part_of_a_packed_matrix_is_named() -> None:
    weights = {"a.qweight": stored(np.zeros((32, 1), np.int32))}
    with pytest.raises(ModelFileError, match=r"\[a\] .*no \.qzeros and no \.scales"):
        unpack_weights(weights, {"quantization_config": SETTINGS})


def test_integers_elsewhere_are_refused() -> None:
    with pytest.raises(ModelFileError, match="expected floating point; found int32"):
        unpack_weights({"a.weight": stored(np.zeros((2, 2), np.int32))}, {})


def test_q4_1_of_a_plain_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("base"), tmp_path / "checkpoint")
    with pytest.raises(ValueError, match=r"4-bit AWQ checkpoints only; .*crispvl quantize"):
        convert_checkpoint(checkpoint, tmp_path / "a.gguf", "q4_1")
