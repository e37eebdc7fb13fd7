"""Reads PyTorch ``.bin`` files with PyTorch itself, weights only and mapped into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from crispvl.convert.stored_tensor import StoredTensor, is_buffer
from crispvl.errors import ModelFileError
from crispvl.extras import install_line


def read_pytorch(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one file.

    Raises:
        ModelFileError: PyTorch is not installed, or the file holds more than tensors.
    """
    try:
        import torch
    except ImportError:
        raise ModelFileError(
            f"[{path.name}] expected PyTorch to read this file; found it missing; "
            f"run {install_line('torch')}, or use a checkpoint in safetensors"
        ) from None
    try:
        state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except Exception as error:  # torch raises pickle, zip and runtime errors alike
        raise ModelFileError(
            f"[{path.name}] expected a PyTorch file with tensors only; found {error}; download "
            "the file again, or use a checkpoint in safetensors"
        ) from None
    names = {
        torch.float64: "F64",
        torch.float32: "F32",
        torch.float16: "F16",
        torch.bfloat16: "BF16",
        torch.int32: "I32",  # packed words of AWQ
        torch.uint8: "U8",  # packed bytes of MXFP4
    }
    if not isinstance(state, dict):
        raise _no_tensors(path, type(state).__name__)
    tensors: dict[str, StoredTensor] = {}
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise _no_tensors(path, f"{name!r} as {type(value).__name__}")
        if is_buffer(name):
            continue
        if value.dtype not in names:
            raise ModelFileError(
                f"[{path.name}] expected floating-point tensors, or int32 words of AWQ; found "
                f"'{name}' as {value.dtype}; "
                "convert the original checkpoint"
            )

        def load(value: Any = value) -> NDArray[Any]:
            bits = value.view(torch.uint16) if value.dtype == torch.bfloat16 else value
            array: NDArray[Any] = bits.contiguous().numpy()
            return array

        tensors[name] = StoredTensor(names[value.dtype], tuple(value.shape), load)
    return tensors


def _no_tensors(path: Path, found: str) -> ModelFileError:
    return ModelFileError(
        f"[{path.name}] expected tensors by name; found {found}; "
        "convert the original checkpoint, or use one in safetensors"
    )
