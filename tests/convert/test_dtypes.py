"""The type of each tensor, its bytes, and the memory that conversion takes."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import gguf
import numpy as np
import pytest
from crispvl.convert import convert_checkpoint, dtypes
from crispvl.convert.safetensors import read_safetensors
from crispvl.convert.tensor_plan import TensorPlan
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader
from numpy.typing import NDArray
from tiny import make_checkpoint
from tiny.checkpoint import write_safetensors
from tiny.rows import row


def plan(shape: tuple[int, ...], precise: bool = False, rows: object = None) -> TensorPlan:
    return TensorPlan(
        name="t", shape=shape, sources=("t",), source_shape=shape, rows=rows, precise=precise
    )


def encoded(path: Path, dtype: str, kind: Type, values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The bytes a tensor gets in a file of ``kind`` when the checkpoint holds it as ``dtype``."""
    write_safetensors(path, {"t": values}, dtype)
    tensor = read_safetensors(path)["t"]
    return np.concatenate(list(dtypes.encode(plan(values.shape), [tensor], kind)))


MATRIX = np.random.default_rng(3).standard_normal((48, 64)).astype(np.float32)


@pytest.mark.parametrize(
    ("dtype", "matrix", "patch"),
    [
        ("f32", Type.F32, Type.F32),
        ("f16", Type.F16, Type.F16),
        ("bf16", Type.BF16, Type.F32),
        ("q8_0", Type.Q8_0, Type.F32),
    ],
)
def test_types_follow_llama_cpps_rules(
    dtype: str, matrix: Type, patch: Type, tmp_path: Path
) -> None:
    make_checkpoint(row("vision-6b"), tmp_path / "checkpoint")
    convert_checkpoint(tmp_path / "checkpoint", tmp_path / "model.gguf", dtype)
    types = {t.name: t.tensor_type for t in GGUFReader(tmp_path / "model.gguf").tensors}
    precise = {"v.class_embd", "v.position_embd.weight"}
    for name, found in types.items():
        if name == "v.patch_embd.weight":
            want = patch
        elif (
            name in precise
            or "norm" in name
            or ".ln" in name
            or ".ls" in name
            or name.endswith(".bias")
            or name == "mm.model.mlp.0.weight"
        ):
            want = Type.F32
        else:
            want = matrix
        assert found == want, name


def test_rows_that_fit_no_block_become_float16_and_are_reported(tmp_path: Path) -> None:
    # d_head 24 gives an output projection with rows of 96, which fit; 20 gives rows of 80.
    checkpoint = make_checkpoint(row("internlm3-odd-head"), tmp_path / "checkpoint")
    report = convert_checkpoint(checkpoint, tmp_path / "model.gguf", "q8_0")
    odd = ("blk.0.attn_output.weight", "blk.1.attn_output.weight")
    assert report.fallbacks == odd
    types = {t.name: t.tensor_type for t in GGUFReader(tmp_path / "model.gguf").tensors}
    assert {types[name] for name in odd} == {Type.F16}
    assert types["blk.0.attn_q.weight"] == Type.Q8_0


def test_bfloat16_is_kept_bit_for_bit(tmp_path: Path) -> None:
    found = encoded(tmp_path / "t", "BF16", Type.BF16, MATRIX)
    stored = read_safetensors(tmp_path / "t")["t"].load()
    np.testing.assert_array_equal(found.view("<u2"), stored.reshape(-1))


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("kind", [Type.F32, Type.F16, Type.BF16, Type.Q8_0])
def test_bytes_are_those_of_ggufs_own_quantiser(dtype: str, kind: Type, tmp_path: Path) -> None:
    found = encoded(tmp_path / "t", dtype, kind, MATRIX)
    words = read_safetensors(tmp_path / "t")["t"].load()
    values = dtypes.to_float32(words, dtype)
    np.testing.assert_array_equal(found, gguf.quantize(values, kind).reshape(-1).view(np.uint8))


def test_values_beyond_float16_are_reported(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("base"), tmp_path / "checkpoint")
    weights = {
        name: tensor.load().copy()
        for name, tensor in read_safetensors(checkpoint / "model.safetensors").items()
    }
    weights["mlp1.1.weight"][3, 5] = 1e6
    write_safetensors(checkpoint / "model.safetensors", weights, "F32")
    report = convert_checkpoint(checkpoint, tmp_path / "model.gguf", "f16")
    (warning,) = report.warnings
    assert "1 values of mm.model.mlp.1.weight" in warning
    assert not convert_checkpoint(checkpoint, tmp_path / "model.gguf", "bf16").warnings


def test_memory_does_not_grow_with_the_tensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dtypes, "_CHUNK_BYTES", 1 << 20)
    shape = (16384, 1024)
    write_safetensors(tmp_path / "t", {"t": np.zeros(shape, np.float32)}, "BF16")
    tensor = read_safetensors(tmp_path / "t")["t"]
    backwards = plan(shape, rows=np.arange(shape[0])[::-1])
    tracemalloc.start()
    try:
        n_bytes = sum(chunk.nbytes for chunk in dtypes.encode(backwards, [tensor], Type.Q8_0))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_bytes == dtypes.n_bytes(shape, Type.Q8_0)
    assert peak < 16 << 20  # the tensor is 64 MiB as float32
