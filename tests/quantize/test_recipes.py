"""Every recipe makes a file that loads and answers, and treats each tensor as it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from crispvl import Model, _core
from crispvl.quantize import RECIPES, quantize_file
from crispvl.quantize.assign import LAYERS, Override, assign
from crispvl.quantize.recipes import ALIASES, find_recipe
from crispvl.quantize.roles import Role, source_tensors
from crispvl.quantize.tensor_types import tensor_type

TILES = np.random.default_rng(5).integers(0, 256, (1, 56, 56, 3), np.uint8)


def answer(path: Path) -> tuple[list[int], np.ndarray]:
    model = Model.load(path, device="cpu", threads=1)
    image = model.config["image"]["context_token_id"]
    prompt = [5, *[image] * model.config["projector"]["tokens_per_tile"], 6, 7]
    ids = model.generate(prompt, TILES, max_tokens=4, stop_at_eos=False).ids
    return list(ids), model.trace(TILES, prompt)["logits"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_file_of_every_recipe_loads_and_answers(
    name: str, wide: Path, imatrix: Path, tmp_path: Path
) -> None:
    report = quantize_file(wide, tmp_path / "out.gguf", name, imatrix=imatrix)
    ids, logits = answer(tmp_path / "out.gguf")
    assert len(ids) == 4
    assert np.isfinite(logits).all()
    assert report.n_bytes == (tmp_path / "out.gguf").stat().st_size <= report.source_bytes + 4096


@pytest.mark.parametrize("name", RECIPES)
def test_a_narrow_model_gets_stand_ins_that_load_and_answer(
    name: str, narrow: Path, tmp_path: Path
) -> None:
    report = quantize_file(narrow, tmp_path / "out.gguf", name)
    assert np.isfinite(answer(tmp_path / "out.gguf")[1]).all()
    wanted = {RECIPES[name].text, *(rule.type for rule in RECIPES[name].rules)}
    if any(tensor_type(kind).block > 64 for kind in wanted):
        assert report.fallbacks
    for _, kind, written in report.fallbacks:
        assert tensor_type(kind).block > tensor_type(written).block


@pytest.mark.parametrize("name", RECIPES)
def test_the_encoder_is_never_coarser_than_q8_0(name: str, wide: Path, imatrix: Path) -> None:
    tensors = source_tensors(_core.GgufFile(str(wide)).tensors)
    everything = {t.name for t in tensors}
    for found in assign(tensors, RECIPES[name], importance=everything):
        if found.tensor.name.startswith(("v.", "mm.")):
            assert found.type.bits >= 8, found
        if found.tensor.role is Role.PRECISE:
            assert found.type.name == "f32", found


def test_q4_k_m_mixes_as_its_name_promises(wide: Path, tmp_path: Path) -> None:
    quantize_file(wide, tmp_path / "out.gguf", "Q4_K_M")
    file = _core.GgufFile(str(tmp_path / "out.gguf"))
    types = {t["name"]: t["type"].lower() for t in file.tensors}
    assert types["blk.1.attn_q.weight"] == "q4_k"
    assert types["blk.0.ffn_down.weight"] == "q6_k"  # the first eighth
    assert types["blk.1.ffn_down.weight"] == "q4_k"
    assert types["blk.3.ffn_down.weight"] == "q6_k"  # every third between
    assert types["blk.7.attn_v.weight"] == "q6_k"  # the last eighth
    assert types["output.weight"] == "q6_k"
    assert types["token_embd.weight"] == "q4_k"
    assert types["v.blk.0.attn_q.weight"] == "q8_0"
    assert types["blk.0.attn_norm.weight"] == types["v.position_embd.weight"] == "f32"
    assert file.metadata["general.file_type"] == 15


def test_f16_q8_0_keeps_the_encoder_in_16_bits(wide: Path, tmp_path: Path) -> None:
    quantize_file(wide, tmp_path / "out.gguf", "f16-q8_0")
    for tensor in _core.GgufFile(str(tmp_path / "out.gguf")).tensors:
        if len(tensor["shape"]) > 1 and not tensor["name"].startswith("v.position"):
            vision = tensor["name"].startswith(("v.", "mm."))
            assert tensor["type"].lower() == ("f16" if vision else "q8_0"), tensor


def test_the_same_type_copies_every_bit(wide: Path, tmp_path: Path) -> None:
    quantize_file(wide, tmp_path / "out.gguf", "f32")
    before, after = (_core.GgufFile(str(p)) for p in (wide, tmp_path / "out.gguf"))
    for tensor in before.tensors:
        np.testing.assert_array_equal(before.data(tensor["name"]), after.data(tensor["name"]))


def test_recipes_name_types_and_layers_that_exist() -> None:
    for recipe in RECIPES.values():
        for kind in (recipe.text, recipe.vision, recipe.head, recipe.table):
            assert kind is None or tensor_type(kind).name == kind
        for rule in recipe.rules:
            assert tensor_type(rule.type).name == rule.type
            assert rule.layers in LAYERS
    for alias, name in ALIASES.items():
        assert find_recipe(alias)[0] == name


@pytest.mark.parametrize("text", ["q4_k", "v.blk.*", "=q4_k", "blk.*=q9"])
def test_an_override_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\[quantize\] expected"):
        Override.parse(text)
