"""A stand-in for the compiled core: a byte vocabulary, answers that a test writes beforehand."""

from __future__ import annotations

import contextlib
import importlib
import math
import re
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import crispvl
import numpy as np
import pytest
from crispvl.engine.model import Model
from crispvl.errors import Cancelled
from PIL import Image

SHARED = Path(__file__).resolve().parents[3] / "shared"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"]
SPECIAL += ["<ref>", "</ref>", "<box>", "</box>"]
SPECIAL_IDS = {piece: 256 + i for i, piece in enumerate(SPECIAL)}
TILE_PX, TOKENS_PER_TILE, WIDTH = 28, 4, 8


class FakeCancelToken:
    """Like the core's; `is_late` may be set as if its time were up."""

    def __init__(self, parent: FakeCancelToken | None = None, limit_s: float | None = None) -> None:
        self.parent = parent
        self.end = math.inf if limit_s is None else time.monotonic() + limit_s
        self.is_asked = self.is_late = False

    def cancel(self) -> None:
        self.is_asked = True

    @property
    def cancelled(self) -> bool:
        return self._any("is_asked") or self._any("is_over")

    @property
    def expired(self) -> bool:
        return self._any("is_over") and not self._any("is_asked")

    @property
    def is_over(self) -> bool:
        return self.is_late or time.monotonic() >= self.end

    def _any(self, name: str) -> bool:
        return getattr(self, name) or (self.parent is not None and self.parent._any(name))


class FakeSession:
    def __init__(self, model: FakeModel, n_ctx: int) -> None:
        self.model, self.n_ctx, self.n_past = model, n_ctx, 0
        self.ids: list[int] = []  # what the cache holds
        self.n_prompt = self.n_rows = 0
        self.number = 0  # among all prompts, from 1

    def prefill(self, ids: list[int], embeddings: Any, cancel: Any) -> None:
        n_rows = 0 if embeddings is None else len(embeddings)
        assert ids.count(SPECIAL_IDS["<IMG_CONTEXT>"]) == n_rows
        self.append(ids, cancel)
        self.n_rows = 1
        self.n_prompt = self.n_past
        self.model.prompts.append(list(self.ids))
        self.model.prefilled.append(len(ids))
        self.number = len(self.model.prompts)

    def begin_prefill(self, ids: list[int], embeddings: Any) -> FakePrefill:
        return FakePrefill(self, ids, embeddings)

    def sample(self, sampler: Any, i_row: int = -1) -> tuple[int, float]:
        self.model.sampler = sampler
        self.model.prompt_number = self.number
        n_ids = self.n_past - (self.n_rows - 1 - i_row if i_row >= 0 else 0)
        return self.model.next_token(self.ids[self.n_prompt : n_ids], sampler), -0.25

    def decode(self, token_id: int, cancel: Any) -> None:
        self.append([token_id], cancel)

    def logits(self, i_row: int = -1) -> Any:
        assert i_row < self.n_rows
        return np.zeros(self.model.config["decoder"]["vocab_size"], np.float32)

    def rewind(self, n_past: int) -> None:
        assert 0 <= n_past <= self.n_past
        del self.ids[n_past:]
        self.n_past = n_past

    def append(self, ids: list[int], cancel: Any) -> None:
        if cancel is not None and cancel.cancelled:
            raise Cancelled("[decode] cancelled")
        self.ids.extend(ids)
        self.n_rows = len(ids)
        self.n_past += len(ids)
        assert self.n_past <= self.n_ctx, "the KV cache is too small"


class FakeSampler(types.SimpleNamespace):
    """Its settings, and the tokens that the penalty was told of."""

    history: list[int] | None = None

    def set_history(self, ids: list[int]) -> None:
        self.history = list(ids)


class FakePrefill:
    def __init__(self, session: FakeSession, ids: list[int], embeddings: Any) -> None:
        self.session, self.ids, self.embeddings = session, ids, embeddings
        self.done = False

    def step(self, cancel: Any) -> None:
        self.session.prefill(self.ids, self.embeddings, cancel)
        self.done = True


def decode_batch(sessions: list[FakeSession], ids: list[list[int]], cancels: list[Any]) -> None:
    for cancel in cancels:
        if cancel is not None and cancel.cancelled:
            raise Cancelled("[decode] cancelled")
    before = [session.n_past for session in sessions]
    try:
        for session, new, cancel in zip(sessions, ids, cancels, strict=True):
            session.append(new, cancel)
    except Exception:
        for session, n_past in zip(sessions, before, strict=True):
            session.rewind(min(n_past, session.n_past))
        raise


class FakeModel:
    tiles_per_graph, n_lanes, kv_bytes = 4, 1, 1
    device, threads = "cpu", 1

    def __init__(self) -> None:
        self.answer: list[int] = list(b"Hello")
        self.prompts: list[list[int]] = []
        self.prefilled: list[int] = []
        self.n_encoded = 0
        self.sampler: Any = None
        self.prompt_number = 0  # of the session that samples
        self.loaded_with: tuple[Any, ...] = ()
        self.metadata = {
            "general.architecture": "qwen2",
            "tokenizer.ggml.tokens": [chr(i) for i in range(256)] + SPECIAL,
            "tokenizer.ggml.token_type": [1] * 256 + [3] * len(SPECIAL),
        }
        self.tensors = [{"name": "a", "shape": [2, 3], "type": "F32", "n_bytes": 24, "file": "m"}]
        self.config: dict[str, dict[str, Any]] = {
            "vision": {"tile_px": TILE_PX, "mean": (0.5,) * 3, "std": (0.5,) * 3},
            "projector": {"tokens_per_tile": TOKENS_PER_TILE, "width": WIDTH},
            "decoder": {
                "context_length": 512,
                "vocab_size": 272,
                "n_layers": 2,
                "width": WIDTH,
                "tied_head": False,
                "rope_scaling": "none",
            },
            "tokenizer": {"bos_id": -1, "eos_id": 256, "add_bos": False, "vocab_size": 266},
            "image": {
                "min_tiles": 1,
                "max_tiles": 6,
                "thumbnail": True,
                "multi_scale": False,
                "position_step": 1.0,
                "start_token_id": SPECIAL_IDS["<img>"],
                "end_token_id": SPECIAL_IDS["</img>"],
                "context_token_id": SPECIAL_IDS["<IMG_CONTEXT>"],
            },
            "chat": {
                "template": "internvl2_5",
                "system_message": "sys",
                "stop_token_ids": [SPECIAL_IDS["<|im_end|>"]],
                "jinja": None,
                "prompt_text": "OCR",
                "prompt_markdown": None,
            },
            "source": {"warnings": []},
        }

    def next_token(self, written: list[int], sampler: Any) -> int:
        """Answers what the test wrote; a test may put another rule here."""
        if len(written) < len(self.answer):
            return self.answer[len(written)]
        return SPECIAL_IDS["<|im_end|>"]

    def tokenize(self, text: str, special: bool, previous: int = -1) -> list[int]:
        pattern = "(" + "|".join(map(re.escape, SPECIAL)) + ")" if special else "($^)"
        ids: list[int] = []
        for piece in re.split(pattern, text):
            ids.extend([SPECIAL_IDS[piece]] if piece in SPECIAL and special else piece.encode())
        return ids

    def detokenize(self, ids: list[int]) -> bytes:
        return b"".join(bytes([i]) if i < 256 else SPECIAL[i - 256].encode() for i in ids)

    def encode(self, tiles: Any, cancel: Any, progress: Any) -> Any:
        self.n_encoded += len(tiles)
        if cancel is not None and cancel.cancelled:
            raise Cancelled("[encode] cancelled")
        if progress is not None:
            progress(len(tiles), len(tiles))
        return np.zeros((len(tiles), TOKENS_PER_TILE, WIDTH), np.float32)

    def prompt_span(self, ids: list[int]) -> int:
        return len(ids)

    def new_session(self, n_ctx: int) -> FakeSession:
        return FakeSession(self, n_ctx)


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """Puts the stand-in where the compiled core is imported from."""
    model = FakeModel()

    def load(*arguments: Any) -> FakeModel:
        model.loaded_with = arguments
        if not Path(arguments[0]).exists():
            raise FileNotFoundError(arguments[0])
        return model

    module = types.ModuleType("crispvl._core")
    names = "FaxGroup count_lzw_values damaged_gif_frame fax_agrees ground_of is_blank"
    names += " jpeg_is_damaged usable_cores visual_spans vp8_is_damaged"
    with contextlib.suppress(ImportError):  # what needs no model
        for name in names.split():
            setattr(module, name, getattr(importlib.import_module("crispvl._core"), name))
    module.Model = types.SimpleNamespace(load=load)  # type: ignore[attr-defined]
    module.Session = types.SimpleNamespace(decode_batch=decode_batch)  # type: ignore[attr-defined]
    module.CancelToken = FakeCancelToken  # type: ignore[attr-defined]
    module.Sampler = FakeSampler  # type: ignore[attr-defined]
    module.build_info = lambda: {  # type: ignore[attr-defined]
        "ggml_version": "1",
        "ggml_commit": "c",
        "kernels": ["avx2"],
        "default_threads": 1,
        "features": [],
        "backends": ["CPU"],
    }
    module.devices = lambda: [  # type: ignore[attr-defined]
        {
            "name": "CPU",
            "type": "cpu",
            "description": "cpu",
            "memory_free": 1 << 30,
            "memory_total": 1 << 31,
        }
    ]
    monkeypatch.setitem(sys.modules, "crispvl._core", module)
    monkeypatch.setattr(crispvl, "_core", module, raising=False)
    return model


@pytest.fixture
def model(core: FakeModel) -> Model:
    return Model(core)  # type: ignore[arg-type]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page of 60×28 px with ink in both halves: two tiles and a thumbnail."""
    path = tmp_path / "page.png"
    image = Image.new("RGB", (60, 28), "white")
    image.paste("black", (10, 8, 16, 20))
    image.paste("black", (40, 6, 44, 14))
    image.save(path)
    return path


@pytest.fixture
def goldens() -> Callable[[], Iterator[Path]]:
    folders = sorted((SHARED / "goldens").glob("*/expected.json"))
    if not folders:
        pytest.skip("the golden checkpoints (../shared/goldens) are not there")
    return lambda: (file.parent for file in folders)
