"""Qianfan-OCR: InternVL's -hf config under its own name, with either layout's tensor names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from crispvl import Model
from crispvl.convert import convert_checkpoint
from crispvl.prompts.tasks import prompt_for
from foreign import ForeignModel, write_pair
from gguf import GGUFReader
from tiny import make_checkpoint
from tiny.checkpoint import random_tensors, write_safetensors
from tiny.rows import row, variant


def rewritten(checkpoint: Path, *, chat_names: Path | None = None) -> Path:
    """The checkpoint as Qianfan's: its ``model_type``, and the other layout's weights if given."""
    path = checkpoint / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["model_type"] = "qianfan_ocr"
    del config["vision_config"]["attention_bias"]  # the class's own value is true
    path.write_text(json.dumps(config), "utf-8")
    if chat_names is not None:
        for old in checkpoint.glob("*.safetensors*"):
            old.unlink()
        for new in chat_names.glob("*.safetensors*"):
            (checkpoint / new.name).write_bytes(new.read_bytes())
    return checkpoint


def test_its_file_is_that_of_the_internvl_spelling(tmp_path: Path) -> None:
    plain = make_checkpoint(variant(row("qwen2-hf"), family="qwen3"), tmp_path / "plain")
    convert_checkpoint(plain, tmp_path / "plain.gguf", "f32")
    convert_checkpoint(rewritten(plain), tmp_path / "own.gguf", "f32")
    want, found = (GGUFReader(tmp_path / f"{name}.gguf").tensors for name in ("plain", "own"))
    assert [t.name for t in found] == [t.name for t in want]
    for a, b in zip(found, want, strict=True):
        np.testing.assert_array_equal(a.data, b.data, a.name)


def test_weights_may_have_the_names_of_the_chat_layout(tmp_path: Path) -> None:
    base = variant(row("qwen2-hf"), family="qwen3")
    own = rewritten(
        make_checkpoint(base, tmp_path / "own"),
        chat_names=make_checkpoint(variant(base, layout="chat"), tmp_path / "chat"),
    )
    convert_checkpoint(own, tmp_path / "own.gguf", "f32")
    names = {t.name for t in GGUFReader(tmp_path / "own.gguf").tensors}
    assert {"v.blk.1.attn_q.bias", "blk.1.attn_q_norm.weight", "mm.model.mlp.3.weight"} <= names


def test_weights_may_have_the_names_that_transformers_saves(tmp_path: Path) -> None:
    """Its renaming of the encoder's layers takes in those of the text model."""
    base = variant(row("qwen2-hf"), family="qwen3", layout="chat")
    own = rewritten(make_checkpoint(variant(base, layout="hf"), tmp_path / "own"))
    text, encoder = "language_model.model.", "language_model.model.encoder."
    tensors = {
        name.replace(text + "layers.", encoder + "layers."): array
        for name, array in random_tensors(base, 0)
    }
    assert any(name.startswith(encoder) for name in tensors)
    write_safetensors(own / "model.safetensors", tensors, "F32")
    convert_checkpoint(own, tmp_path / "own.gguf", "f32")
    names = {t.name for t in GGUFReader(tmp_path / "own.gguf").tensors}
    assert {"v.blk.1.ffn_up.weight", "blk.1.ffn_up.weight"} <= names


@pytest.mark.parametrize(
    ("prompts", "markdown"),
    [({}, "Parse this document to Markdown."), ({"markdown": "Another."}, "Another.")],
)
def test_its_prompt_for_markdown_is_that_of_its_card(
    prompts: dict[str, str], markdown: str, tmp_path: Path
) -> None:
    checkpoint = rewritten(make_checkpoint(row("qwen2-hf"), tmp_path / "own"))
    convert_checkpoint(checkpoint, tmp_path / "own.gguf", "f32", prompts=prompts)
    model = Model.load(tmp_path / "own.gguf", device="cpu")
    assert model.config.chat.prompts["markdown"] == markdown
    assert "text" not in model.config.chat.prompts


def test_a_file_may_bring_a_prompt_for_any_task(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(row("qwen2-hf"), tmp_path / "own")
    prompts = {"table": "Tables as HTML.", "key-value": "Fields as JSON."}
    convert_checkpoint(checkpoint, tmp_path / "own.gguf", "f32", prompts=prompts)
    chat = Model.load(tmp_path / "own.gguf", device="cpu").config.chat
    assert chat.prompts == prompts
    assert prompt_for("table", chat) == "Tables as HTML."


def test_a_pair_with_its_coordinates_asks_what_its_card_asks(tmp_path: Path) -> None:
    """As published for llama.cpp: an ordinary qwen3 and an internvl projector."""
    base = variant(row("qwen2-hf"), family="qwen3")
    checkpoint = rewritten(make_checkpoint(base, tmp_path / "own"))
    path = checkpoint / "added_tokens.json"
    added = json.loads(path.read_text("utf-8"))
    first = max(added.values()) + 1
    marks = ["<think>", "</think>", "<COORD_0>", "<COORD_999>"]
    path.write_text(json.dumps({**added, **{m: first + i for i, m in enumerate(marks)}}), "utf-8")
    text, mmproj = write_pair(ForeignModel.load(checkpoint), tmp_path)
    model = Model.load(text, mmproj, device="cpu")
    assert model.config.chat.prompts == {"markdown": "Parse this document to Markdown."}
    assert model.vocabulary.thought_ids == (first, first + 1)
    assert model.vocabulary.coordinates == {first + 2: "0", first + 3: "999"}
