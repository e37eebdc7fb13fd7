"""Reads PyTorch ``.bin`` files with PyTorch itself, weights only and mapped into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from crispvl.convert.weights import StoredTensor
from crispvl.errors import ModelFileError


def read_pytorch(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one file.

    Raises:
        ModelFileError: PyTorch is not installed, or the file holds more than tensors.
    """
    try:
        import torch
    except ImportError:
        raise ModelFileError(
            f"[{path.name}] expected PyTorch to read this file; it is not installed; "
            "run 'pip install torch', or use a checkpoint in safetensors"
        ) from None
    try:
        state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except Exception as error:  # torch raises pickle, zip and runtime errors alike
        raise ModelFileError(
            f"[{path.name}] expected a PyTorch file with tensors only; found: {error}; "
            "download the file again, or use a checkpoint in safetensors"
        ) from None
    names = {
        torch.float64: "F64",
        torch.float32: "F32",
        torch.float16: "F16",
        torch.bfloat16: "BF16",
        torch.int32: "I32",  # packed words of AWQ
    }
    tensors: dict[str, StoredTensor] = {}
    for name, value in state.items():
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
