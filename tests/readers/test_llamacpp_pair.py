"""Pairs as llama.cpp writes them: every family and every quirk gives what the checkpoint gives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from crispvl import Model
from crispvl.errors import ModelFileError
from foreign import ForeignModel, write_pair
from foreign.checks import TILES, assert_computes_the_reference, image_prompt
from gguf import GGMLQuantizationType as Type
from goldens import min_cosine
from tiny import ROWS

TinyModel = Callable[[str], ForeignModel]

# What llama.cpp does not store: NTK scaling, which acts beyond the trained length only, windows of
# architectures that have none there, and what it takes for granted of experts and of gpt-oss.
UNSTORABLE = {
    "rope-dynamic",
    "rope-dynamic-internlm2",
    "rope-yarn-whole-ramp",
    "mistral-hf",
    "qwen2-sliding",
    "qwen3-sliding-hf",
    "qwen3-moe-not-normalised",
    "one-expert",
    "gpt-oss-hf",
    "flash",
}
STORABLE = [r.name for r in ROWS if r.name not in UNSTORABLE]


@pytest.fixture(autouse=True)
def without_warnings() -> Any:
    """A pair that belongs together gives no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("row", STORABLE)
def test_pair_computes_what_its_checkpoint_computes(
    row: str, tiny_model: TinyModel, tmp_path: Path
) -> None:
    model = tiny_model(row)
    text, mmproj = write_pair(model, tmp_path)
    assert_computes_the_reference(Model.load(text, mmproj, device="cpu"), model)


@pytest.mark.parametrize("row", ["base", "vision-6b", "internlm2-bias", "qwen3"])
def test_fused_qkv_is_cut_into_its_parts(row: str, tiny_model: TinyModel, tmp_path: Path) -> None:
    model = tiny_model(row)
    text, mmproj = write_pair(model, tmp_path, fused=True)
    assert any(t.name == "blk.0.attn_qkv.weight" for t in gguf.GGUFReader(text).tensors)
    assert_computes_the_reference(Model.load(text, mmproj, device="cpu"), model)


@pytest.mark.parametrize("row", ["qwen3-moe-hf", "gpt-oss"])
def test_gate_and_up_of_experts_may_be_one_tensor(
    row: str, tiny_model: TinyModel, tmp_path: Path
) -> None:
    model = tiny_model(row)
    text, mmproj = write_pair(model, tmp_path, fused_experts=True)
    names = {t.name for t in gguf.GGUFReader(text).tensors}
    assert "blk.0.ffn_gate_up_exps.weight" in names
    assert "blk.0.ffn_up_exps.weight" not in names
    assert_computes_the_reference(Model.load(text, mmproj, device="cpu"), model)


def test_fused_qkv_of_other_heads_is_refused(tiny_model: TinyModel, tmp_path: Path) -> None:
    text, mmproj = write_pair(tiny_model("base"), tmp_path, fused=True)
    writer = gguf.GGUFReader(text, "r+")
    writer.fields["qwen2.attention.head_count_kv"].parts[-1][0] = 1
    del writer
    with pytest.raises(ModelFileError, match=r"attn_qkv.*to have 96 rows.*found 128"):
        Model.load(text, mmproj)


def test_missing_tile_keys_mean_one_to_twelve(tiny_model: TinyModel, tmp_path: Path) -> None:
    text, mmproj = write_pair(tiny_model("base"), tmp_path, tile_keys=False)
    image = Model.load(text, mmproj, device="cpu").config["image"]
    assert (image["min_tiles"], image["max_tiles"], image["thumbnail"]) == (1, 12, True)


def test_tile_keys_are_read(tiny_model: TinyModel, tmp_path: Path) -> None:
    text, mmproj = write_pair(tiny_model("base"), tmp_path)
    assert Model.load(text, mmproj, device="cpu").config["image"]["max_tiles"] == 4


def test_projector_type_may_stand_under_the_vision_keys(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    model = tiny_model("base")
    text, mmproj = write_pair(model, tmp_path, projector_type_key="clip.vision.projector_type")
    assert_computes_the_reference(Model.load(text, mmproj, device="cpu"), model)


def test_stop_tokens_and_template_are_found(tiny_model: TinyModel, tmp_path: Path) -> None:
    model = tiny_model("internlm2")
    text, mmproj = write_pair(model, tmp_path)
    config = Model.load(text, mmproj, device="cpu").config
    vocabulary = model.settings.vocabulary
    stops = {vocabulary.require(t) for t in ("<|im_end|>", "<|endoftext|>", "</s>")}
    assert set(config["chat"]["stop_token_ids"]) == stops
    assert config["chat"]["jinja"].startswith("{% for m")
    assert config["image"]["context_token_id"] == vocabulary.require("<IMG_CONTEXT>")


MIX = {
    r"token_embd|mm\.model\.mlp\.1": Type.F16,
    r"attn_[qk]\.weight": Type.Q4_0,
    r"attn_v\.weight": Type.Q5_1,
    r"attn_out": Type.BF16,
    r"ffn_down": Type.Q8_0,
    r"ffn_(gate|up)": Type.Q4_1,
    r"output\.weight|mm\.model\.mlp\.3": Type.Q5_0,
}


@pytest.mark.parametrize("fused", [False, True])
def test_each_tensor_may_have_a_type_of_its_own(
    fused: bool, tiny_model: TinyModel, tmp_path: Path
) -> None:
    types = {r"attn_qkv\.weight": Type.Q4_0, **MIX} if fused else MIX
    model = tiny_model("base")
    text, mmproj = write_pair(model, tmp_path, types=types, fused=fused)
    found = Model.load(text, mmproj, device="cpu", exact=True)
    kinds = {t["name"]: t["type"] for t in found.core.tensors}
    assert kinds["blk.1.attn_k.weight"] == kinds["v.blk.0.attn_q.weight"] == "q4_0"
    trace = found.trace(TILES, image_prompt(model))
    want = model.reference.trace(TILES, image_prompt(model))
    for name in ("vis_proj_output", "llm_final_norm", "logits"):
        assert min_cosine(trace[name], want[name]) >= 0.9, name


@pytest.mark.parametrize("n_part", [1, 2, 3])
def test_any_part_of_a_split_model_opens_it(
    n_part: int, tiny_model: TinyModel, tmp_path: Path
) -> None:
    model = tiny_model("base")
    first, mmproj = write_pair(model, tmp_path, max_tensors=10)
    parts = sorted(tmp_path.glob("text-*.gguf"))
    assert len(parts) == 3
    assert parts[0] == first
    found = Model.load(parts[n_part - 1], mmproj, device="cpu")
    assert found.config["source"]["files"] == [str(p) for p in (*parts, mmproj)]
    assert_computes_the_reference(found, model)


def test_missing_part_of_a_split_model_is_named(tiny_model: TinyModel, tmp_path: Path) -> None:
    first, mmproj = write_pair(tiny_model("base"), tmp_path, max_tensors=10)
    second = first.with_name(first.name.replace("00001-of", "00002-of"))
    second.unlink()
    with pytest.raises(FileNotFoundError, match=rf"all 3 parts.*{second.name}' is missing"):
        Model.load(first, mmproj)


def test_renamed_part_of_a_split_model_is_refused(tiny_model: TinyModel, tmp_path: Path) -> None:
    first, mmproj = write_pair(tiny_model("base"), tmp_path, max_tensors=10)
    with pytest.raises(ModelFileError, match=r"end like '-00001-of-00003\.gguf'"):
        Model.load(first.rename(tmp_path / "renamed.gguf"), mmproj)


def test_part_of_another_model_is_refused(tiny_model: TinyModel, tmp_path: Path) -> None:
    first, mmproj = write_pair(tiny_model("base"), tmp_path, max_tensors=10)
    third = first.with_name(first.name.replace("00001-of", "00003-of"))
    first.with_name(first.name.replace("00001-of", "00002-of")).write_bytes(third.read_bytes())
    with pytest.raises(ModelFileError, match=r"expected part 2 of 3; .* calls itself part 3 of 3"):
        Model.load(first, mmproj)


def test_vocabulary_alone_needs_no_projector(tiny_model: TinyModel, tmp_path: Path) -> None:
    model = tiny_model("internlm2")
    text, _ = write_pair(model, tmp_path)
    found = Model.load(text, vocab_only=True)
    assert found.detokenize(found.tokenize("the page")) == "the page"
    assert np.shape(found.tokenize("<img>")) == (1,)
