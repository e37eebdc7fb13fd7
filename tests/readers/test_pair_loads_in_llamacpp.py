"""The pair that we write, in llama.cpp's own text model: the same logits.

Runs where llama-cpp-python is installed (it is no dependency of the test suite).
"""

from __future__ import annotations

import ctypes
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl import Model
from crispvl.convert import convert_checkpoint
from foreign import ForeignModel
from goldens import GOLDENS, Golden, golden_folder, min_cosine
from numpy.typing import NDArray

llama_cpp = pytest.importorskip("llama_cpp")

TinyModel = Callable[[str], ForeignModel]

COSINE = 0.9999

# One row for each family, and each switch that llama.cpp has: it knows no biases of InternLM2 and
# no heads of Qwen2 that are not the width's share.
ROWS = [
    "base",
    "qwen2-hf",
    "qwen3",
    "qwen3-hf-tied",
    "internlm2",
    "internlm2-one-kv-head",
    "internlm3",
    "internlm3-qkv-bias",
    "internlm3-bias",
    "llama-hf",
    "mistral-no-window",
    "qwen3-moe-hf",
    "all-kv-heads",
    "tied",
    "rope-linear",
    "rope-yarn",
    "rope-yarn-new-spelling",
]

IDS = [int(i) for i in np.random.default_rng(8).integers(0, 256, 20)]


@pytest.fixture(scope="module", autouse=True)
def backend() -> Iterator[None]:
    log = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(log, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    yield
    llama_cpp.llama_backend_free()


def llamacpp_logits(path: Path, ids: Sequence[int]) -> NDArray[np.float32]:
    """Logits of the last position by llama.cpp on the CPU, everything in float32."""
    model = llama_cpp.llama_model_load_from_file(
        str(path).encode(), llama_cpp.llama_model_default_params()
    )
    assert model, f"llama.cpp does not load {path.name}"
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = 256
    params.n_threads = params.n_threads_batch = 1
    params.type_k = params.type_v = 0  # GGML_TYPE_F32
    params.flash_attn_type = 0  # LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama_cpp.llama_init_from_model(model, params)
    try:
        tokens = (llama_cpp.llama_token * len(ids))(*ids)
        assert llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, len(ids))) == 0
        n_vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        logits = llama_cpp.llama_get_logits_ith(context, -1)
        return np.ctypeslib.as_array(logits, (n_vocab,)).copy()
    finally:
        llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(model)


def assert_same_logits(checkpoint: Path, folder: Path, ids: Sequence[int]) -> None:
    text, mmproj = convert_checkpoint(checkpoint, folder / "a.gguf", "f32", "pair").files
    ours = Model.load(text, mmproj, device="cpu").trace(None, ids)["logits"]
    theirs = llamacpp_logits(text, ids)
    assert theirs.shape == ours.shape
    assert min_cosine(theirs, ours) >= COSINE
    assert int(theirs.argmax()) == int(ours.argmax())


@pytest.mark.parametrize("name", ROWS)
def test_tiny_pair_gives_the_same_logits(name: str, tiny_model: TinyModel, tmp_path: Path) -> None:
    assert_same_logits(tiny_model(name).settings.files.folder, tmp_path, IDS)


@pytest.mark.parametrize("name", GOLDENS)
def test_golden_pair_gives_the_same_logits(name: str, shared_dir: Path, tmp_path: Path) -> None:
    golden = Golden(golden_folder(shared_dir, name))
    # Under another name: llama.cpp asks files that are called phi3 for tokens of Phi-3.
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(golden.folder, checkpoint)
    rope = with_whole_dimensions(checkpoint / "config.json")
    ids = golden.prompt_ids("text")
    if rope.get("rope_type") == "longrope":
        # llama.cpp takes the long factors for any prompt, the model only beyond its trained length.
        n_trained = rope["original_max_position_embeddings"]
        ids = (ids * n_trained)[: n_trained + 20]
    assert_same_logits(checkpoint, tmp_path, ids)


def with_whole_dimensions(path: Path) -> dict[str, Any]:
    """Has YaRN's ramp begin and end at whole dimensions, as llama.cpp knows no other.

    Returns the config's parameters of RoPE.
    """
    config = json.loads(path.read_text("utf-8"))
    text = config.get("text_config") or config["llm_config"]
    rope: dict[str, Any] = text.get("rope_parameters") or text.get("rope_scaling") or {}
    if "truncate" in rope:
        rope["truncate"] = True
        path.write_text(json.dumps(config), "utf-8")
    return rope
