"""CrispEmbed's single files: its converter's and its merger's, with all they leave out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crispvl import Model
from crispvl.errors import ModelFileError
from foreign import ForeignModel, write_merged, write_native
from foreign.checks import TILES, assert_computes_the_reference, image_prompt
from gguf import GGMLQuantizationType as Type
from goldens import min_cosine

TinyModel = Callable[[str], ForeignModel]

NATIVE = ["base", "internlm2", "internlm2-bias", "llama-hf", "tokenizer-bytes", "all-kv-heads",
          "rope-dynamic-internlm2", "tied", "no-thumbnail"]  # fmt: skip

TEXTS = ["the text of the page", " two  spaces\nand a line", "Größe 12,50 €", "<img>the</img>"]

# What files of June and July 2026 do not say.
EARLY = ["use_msac", "chat_template", "llm_model_type", "tokenizer.add_bos_token"]


def our_ids(model: ForeignModel, texts: list[str], tmp_path: Path) -> list[list[int]]:
    """Ids by the tokenizer of our own file."""
    from crispvl.convert import convert_checkpoint

    path = tmp_path / "ours.gguf"
    convert_checkpoint(model.settings.files.folder, path, "f32")
    ours = Model.load(path, vocab_only=True)
    return [ours.tokenize(text) for text in texts]


@pytest.mark.parametrize("row", NATIVE)
def test_native_file_computes_what_its_checkpoint_computes(
    row: str, tiny_model: TinyModel, tmp_path: Path
) -> None:
    model = tiny_model(row)
    found = Model.load(write_native(model, tmp_path / "a.gguf"), device="cpu")
    assert_computes_the_reference(found, model)
    assert found.config["image"]["thumbnail"] == model.settings.config.image.thumbnail


@pytest.mark.parametrize("row", ["base", "tied"])
def test_merged_file_computes_what_its_checkpoint_computes(
    row: str, tiny_model: TinyModel, tmp_path: Path
) -> None:
    model = tiny_model(row)
    found = Model.load(write_merged(model, tmp_path / "a.gguf"), device="cpu")
    assert_computes_the_reference(found, model)
    assert found.config["chat"]["jinja"].startswith("{% for m")


@pytest.mark.parametrize("row", ["base", "tokenizer-bytes", "internlm2"])
@pytest.mark.parametrize("write", [write_native, write_merged])
def test_tokenizer_gives_the_ids_of_the_checkpoint(
    write: Any, row: str, tiny_model: TinyModel, tmp_path: Path
) -> None:
    model = tiny_model(row)
    found = Model.load(write(model, tmp_path / "a.gguf"), vocab_only=True)
    ids = [found.tokenize(text) for text in TEXTS]
    assert ids == our_ids(model, TEXTS, tmp_path)
    assert [found.detokenize(i) for i in ids] == TEXTS


@pytest.mark.parametrize("row", ["base", "internlm2"])
def test_special_tokens_are_those_of_the_checkpoint(
    row: str, tiny_model: TinyModel, tmp_path: Path
) -> None:
    model = tiny_model(row)
    v = model.settings.vocabulary
    config = Model.load(write_native(model, tmp_path / "a.gguf"), device="cpu").config
    assert config["tokenizer"]["bos_id"] == (-1 if v.bos_id is None else v.bos_id)
    assert config["tokenizer"]["eos_id"] == v.eos_id
    assert config["tokenizer"]["add_bos"] == (row == "internlm2")
    assert config["image"]["context_token_id"] == v.require("<IMG_CONTEXT>")
    assert v.require("<|im_end|>") in config["chat"]["stop_token_ids"]
    assert config["chat"]["template"] == "internvl2_5"
    assert config["chat"]["system_message"] is None  # the format's own


@pytest.mark.parametrize("row", ["base", "internlm2"])
def test_early_file_is_read_and_its_format_doubted(
    row: str, tiny_model: TinyModel, tmp_path: Path
) -> None:
    model = tiny_model(row)
    path = write_native(model, tmp_path / "a.gguf", without=EARLY)
    with pytest.warns(UserWarning, match="does not say its conversation format"):
        found = Model.load(path, device="cpu")
    assert_computes_the_reference(found, model)
    assert found.config["decoder"]["arch"] == model.settings.config.decoder.family.arch
    assert found.config["tokenizer"]["add_bos"] == (row == "internlm2")


def test_pieces_without_scores_merge_by_id(tiny_model: TinyModel, tmp_path: Path) -> None:
    model = tiny_model("internlm2")
    without = ["tokenizer.ggml.scores", "tokenizer.ggml.token_type"]
    path = write_native(model, tmp_path / "a.gguf", without=without)
    found = Model.load(path, vocab_only=True)
    assert found.config["tokenizer"]["model"] == "llama"
    assert [found.tokenize(t) for t in TEXTS] == our_ids(model, TEXTS, tmp_path)


def test_quantised_file_keeps_the_text_head_and_vision(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    model = tiny_model("internlm2")
    types = {
        "patch_embed": Type.F16,
        r"embed_tokens|lm_head|^v\.(blk|proj).*weight": Type.Q8_0,
        r"attn_.*weight": Type.Q8_0,
        r"ffn_.*weight": Type.Q4_0,
    }
    path = write_native(model, tmp_path / "a.gguf", types=types)
    trace = Model.load(path, device="cpu", exact=True).trace(TILES, image_prompt(model))
    want = model.reference.trace(TILES, image_prompt(model))
    assert min_cosine(trace["vis_proj_output"], want["vis_proj_output"]) >= 0.999
    assert min_cosine(trace["logits"], want["logits"]) >= 0.95


def test_file_without_a_tokenizer_names_the_remedy(tiny_model: TinyModel, tmp_path: Path) -> None:
    path = write_native(tiny_model("base"), tmp_path / "a.gguf", without=["tokenizer"])
    with pytest.raises(ModelFileError, match=r"without one; .*tokenizer=.*--tokenizer"):
        Model.load(path)


def test_vocabulary_of_no_known_family_names_the_remedy(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    model = tiny_model("base")
    pieces = [token.replace("Ġ", "_") for token in model.settings.vocabulary.tokens]
    vocabulary = replace(model.settings.vocabulary, tokens=pieces)
    odd = replace(model, settings=replace(model.settings, vocabulary=vocabulary))
    path = write_native(odd, tmp_path / "a.gguf")
    with pytest.raises(ModelFileError, match=r"byte-level or SentencePiece .*--tokenizer"):
        Model.load(path)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"chat_template": "h2ogpt2"}, "h2ogpt2"), ({"two_scales": True}, "tiles at two scales")],
)
def test_h2ovl_is_refused(
    settings: dict[str, Any], reason: str, tiny_model: TinyModel, tmp_path: Path
) -> None:
    path = write_native(tiny_model("internlm2"), tmp_path / "a.gguf", **settings)
    with pytest.raises(ModelFileError, match=rf"is an H2OVL model \(.*{reason}.*give an InternVL"):
        Model.load(path)


@pytest.mark.parametrize("key", ["hidden_size", "vision.image_size", "rope_theta"])
def test_missing_key_is_named_as_the_file_spells_it(
    key: str, tiny_model: TinyModel, tmp_path: Path
) -> None:
    path = write_native(tiny_model("base"), tmp_path / "a.gguf", without=[key])
    with pytest.raises(ModelFileError, match=f"expected the key 'internvl2.{key}'"):
        Model.load(path)
