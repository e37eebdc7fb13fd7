"""The tokenizers of the goldens and the real Qwen2 vocabulary, where ../shared is present."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import pytest
from crispvl import Model
from goldens import GOLDENS, golden_folder
from hypothesis import given
from text.texts import EXAMPLES, any_text, known_text
from text.vocab_files import like_qwen2, write_byte_level, write_sentencepiece

CONTROL = 3


def golden_model(folder: Path, path: Path) -> Model:
    """The tokenizer of a golden checkpoint, written here and not by the converter under test."""
    if (folder / "tokenizer.model").is_file():
        sentencepiece = pytest.importorskip("sentencepiece")
        processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
        added = json.loads((folder / "added_tokens.json").read_text("utf-8"))
        write_sentencepiece(path, processor, add_space_prefix=False, added_control=list(added))
    else:
        tokenizers = pytest.importorskip("tokenizers")
        reference = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        write_byte_level(path, reference)
    return Model.load(path, vocab_only=True)


@pytest.mark.parametrize("name", GOLDENS)
def test_golden_cases_have_the_published_ids(shared_dir: Path, tmp_path: Path, name: str) -> None:
    folder = golden_folder(shared_dir, name)
    model = golden_model(folder, tmp_path / "vocab.gguf")
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    bos = [1] if settings.get("add_bos_token") else []  # the chat template's part, not encode's
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    for case in expected["tokenizer_cases"]:
        assert bos + model.tokenize(case["text"], special=True) == case["ids"], case["text"]
    marks = set(json.loads((folder / "added_tokens.json").read_text("utf-8")).values())
    marks |= {0, 1, 2} if bos else set()
    marks |= set(range(max(marks) + 1, 1000))  # the embedding has more rows than the tokenizer
    for kind in ("image", "text"):
        ids = [i for i in expected[kind]["greedy_ids"] if i not in marks]
        assert model.detokenize(ids) == expected[kind]["greedy_text"]


@pytest.fixture(scope="module")
def qwen2(shared_dir: Path) -> tuple[Model, Any]:
    """The real vocabulary in our tokenizer and in `tokenizers`."""
    hf = pytest.importorskip("tokenizers")
    path = shared_dir / "data" / "ggml-vocab-qwen2.gguf"
    reader = gguf.GGUFReader(path)

    def array(key: str) -> list[Any]:
        field = reader.get_field(f"tokenizer.ggml.{key}")
        assert field is not None
        return list(field.contents())

    tokens, types, merges = array("tokens"), array("token_type"), array("merges")
    vocab = {piece: i for i, piece in enumerate(tokens) if types[i] == 1}
    reference = like_qwen2(hf.models.BPE(vocab, [tuple(m.split(" ")) for m in merges]))
    reference.add_tokens(  # in order of id, so that the ids are the file's
        [
            hf.AddedToken(piece, normalized=False, special=kind == CONTROL)
            for piece, kind in zip(tokens, types, strict=True)
            if kind != 1
        ]
    )
    return Model.load(path, vocab_only=True), reference


@EXAMPLES
@given(text=known_text())
def test_real_qwen2_vocabulary_equals_the_reference(qwen2: tuple[Model, Any], text: str) -> None:
    ours, reference = qwen2
    for special in (True, False):
        reference.encode_special_tokens = not special
        want = reference.encode(text, add_special_tokens=False).ids
        assert ours.tokenize(text, special=special) == want


@pytest.fixture(scope="module")
def internlm2(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Any]:
    sentencepiece = pytest.importorskip("sentencepiece")
    folder = shared_dir / "goldens" / "chat-internlm2"
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    return golden_model(folder, tmp_path_factory.mktemp("sp") / "vocab.gguf"), processor


@EXAMPLES
@given(text=any_text())
def test_golden_internlm2_vocabulary_equals_the_reference(
    internlm2: tuple[Model, Any], text: str
) -> None:
    ours, reference = internlm2
    assert ours.tokenize(text, special=False) == reference.encode(text)
