"""The weights of a checkpoint folder under one naming, whatever files hold them."""

from __future__ import annotations

import json
from pathlib import Path

from crispvl.convert.pytorch import read_pytorch
from crispvl.convert.safetensors import read_safetensors
from crispvl.convert.stored_tensor import StoredTensor
from crispvl.convert.values import text
from crispvl.errors import ModelFileError

# Newer transformers put everything but the head under "model." and drop the text model's own.
_PREFIXES = (
    ("model.language_model.", "language_model.model."),
    ("model.vision_tower.", "vision_tower."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
    ("lm_head.", "language_model.lm_head."),
    # Qianfan-OCR as transformers 5 saves it: it renames the encoder's layers, and these with them.
    ("language_model.model.encoder.layers.", "language_model.model.layers."),
)


def read_weights(folder: Path) -> dict[str, StoredTensor]:
    """All tensors of a checkpoint by their name in the older spelling.

    Takes safetensors before PyTorch files, and an index before a single file.

    Raises:
        ModelFileError: No weights, a missing shard, or a tensor in two shards.
    """
    tensors: dict[str, StoredTensor] = {}
    for path in _weight_files(folder):
        for name, tensor in _read_file(path).items():
            name = _canonical(name)
            if name in tensors:
                raise ModelFileError(
                    f"[{path.name}] expected every tensor once; found '{name}' again; "
                    "keep one set of weights in the folder"
                )
            tensors[name] = tensor
    return tensors


def _canonical(name: str) -> str:
    for prefix, replacement in _PREFIXES:
        if name.startswith(prefix):
            return replacement + name[len(prefix) :]
    return name


def _weight_files(folder: Path) -> list[Path]:
    for single in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{single}.index.json"
        if index.is_file():
            return _shards(folder, index)
        if (folder / single).is_file():
            return [folder / single]
    raise ModelFileError(
        f"[{folder.name}] expected model.safetensors, pytorch_model.bin or the index of their "
        "shards; found none; give a complete checkpoint folder"
    )


def _shards(folder: Path, index: Path) -> list[Path]:
    try:
        shards = json.loads(index.read_text("utf-8-sig"))["weight_map"].values()
        names = sorted({text(name, index.name) for name in shards})
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise ModelFileError(
            f"[{index.name}] expected a JSON object with 'weight_map'; found something else; "
            "download the file again"
        ) from None
    missing = [n for n in names if Path(n).name != n or not (folder / n).is_file()]
    if missing:
        raise ModelFileError(
            f"[{index.name}] expected {len(names)} files of weights beside it; found all but "
            f"{', '.join(missing)}; download them too"
        )
    return [folder / n for n in names]


def _read_file(path: Path) -> dict[str, StoredTensor]:
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    return read_pytorch(path)
