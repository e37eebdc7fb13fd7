"""The goldens beside the repository: tiny checkpoints with what the published code computed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

GOLDENS = (
    "chat-qwen2",
    "chat-internlm2",
    "chat-vit6b-qwen2",
    "hf-qwen3",
    "hf-internlm3",
    "hf-vit6b-qwen2",
    "hf-llama",
    "hf-mistral",
    "hf-phi3",
    "hf-qwen3moe",
    "hf-gptoss",
)

# Where the two best tokens are closer than this, a float32 engine may pick the other one.
MIN_MARGIN = 0.01


def golden_folder(shared: Path, name: str) -> Path:
    """The folder of a golden; the test is skipped where it is not there."""
    for kind in ("goldens", "goldens_more"):
        if (shared / kind / name).is_dir():
            return shared / kind / name
    pytest.skip(f"no golden '{name}' in ../shared")


@dataclass(frozen=True)
class Golden:
    """One checkpoint folder with ``expected.npz`` and ``expected.json``."""

    folder: Path

    @cached_property
    def stages(self) -> dict[str, NDArray[Any]]:
        """Arrays by stage name; ``vis_*`` but the projector's are of the first tile only."""
        with np.load(self.folder / "expected.npz") as arrays:
            return {name: arrays[name] for name in arrays.files}

    @cached_property
    def expected(self) -> dict[str, Any]:
        """Prompts, token ids and texts."""
        data: dict[str, Any] = json.loads((self.folder / "expected.json").read_text("utf-8"))
        return data

    @property
    def tiles(self) -> NDArray[np.uint8]:
        """``[n_tiles, px, px, 3]``."""
        return self.stages["tiles"]

    def prompt_ids(self, kind: str) -> list[int]:
        """Ids of the ``image`` or the ``text`` prompt."""
        return list(self.expected[kind]["prompt_ids"])

    def certain_ids(self, kind: str) -> list[int]:
        """The greedy ids up to the first step at which two tokens are nearly even."""
        steps = self.expected[kind]
        ids = zip(steps["greedy_ids"], steps["top2_margin"], strict=True)
        certain: list[int] = []
        for token, margin in ids:
            if margin < MIN_MARGIN:
                break
            certain.append(token)
        return certain

    def compare(self, trace: dict[str, NDArray[Any]], text_logits: NDArray[Any]) -> Comparison:
        """Lines up a trace of the image prompt with the expected stages."""
        rows = {}
        for name, want in self.stages.items():
            if name == "tiles":
                continue
            if name == "logits_text":
                found = text_logits
            elif name == "logits_image":
                found = trace["logits"]
            else:
                found = trace[name]
                if name.startswith("vis_") and name != "vis_proj_output":
                    found = found[:1]
            rows[name] = (np.asarray(found, np.float64), want.astype(np.float64))
        return Comparison(rows)


@dataclass(frozen=True)
class Comparison:
    """Found and expected arrays by stage."""

    rows: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]

    def assert_close(self, *, relative: float, cosine: float = 0.0) -> None:
        """Every stage has the expected shape, direction and values.

        Args:
            relative: Largest absolute difference, as a share of the stage's largest value.
            cosine: Smallest cosine of a row with the expected row.
        """
        for name, (found, want) in self.rows.items():
            assert found.shape == want.shape, name
            assert max_difference(found, want) <= relative, name
            assert min_cosine(found, want) >= cosine, name


def max_difference(found: NDArray[Any], want: NDArray[Any]) -> float:
    """Largest absolute difference divided by the largest expected magnitude."""
    return float(np.abs(found - want).max() / np.abs(want).max())


def min_cosine(found: NDArray[Any], want: NDArray[Any]) -> float:
    """Smallest cosine over the rows of the last axis."""
    a = np.asarray(found, np.float64).reshape(-1, found.shape[-1])
    b = np.asarray(want, np.float64).reshape(-1, want.shape[-1])
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / norms).min())
