"""Vocabularies that no converter should write, and ids that no model should give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from crispvl import Model
from crispvl.errors import ModelFileError
from text.vocab_files import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, write_vocabulary

ASCII = [chr(c) for c in range(0x21, 0x7F)]
BYTES = [f"<0x{c:02X}>" for c in range(256)]
BPE: dict[str, Any] = {"model": "gpt2", "pre": "qwen2"}
SENTENCEPIECE: dict[str, Any] = {"model": "llama", "pre": "default"}


def load(folder: Path, **keys: Any) -> Model:
    return Model.load(write_vocabulary(folder / "vocab.gguf", **keys), vocab_only=True)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({**BPE, "model": "bert", "tokens": ASCII}, "gpt2.*tokenizer.ggml.model.*bert"),
        ({**BPE, "pre": "falcon", "tokens": ASCII}, "tokenizer.ggml.pre.*qwen2.*falcon"),
        ({**BPE, "tokens": ASCII, "types": [NORMAL]}, "94 tokens in .*token_type.*; found 1"),
        ({**BPE, "tokens": ASCII, "eos_id": 94}, "eos_token_id.*below 94; found 94"),
        ({**BPE, "tokens": ASCII, "merges": ["ab"]}, "merges.*found as entry 0 'ab'"),
        ({**BPE, "tokens": ASCII, "merges": ["a b"]}, "merges.*found as entry 0 'a b'"),
        ({**BPE, "tokens": [*ASCII, "ab"], "merges": ["a b", "ab é"]}, "found as entry 1 'ab é'"),
        ({**SENTENCEPIECE, "tokens": ASCII}, "every byte or an unknown token"),
        ({**SENTENCEPIECE, "tokens": ASCII, "scores": [0.0]}, "94 tokens in .*scores.*; found 1"),
        (
            {**SENTENCEPIECE, "tokens": ["<0xG0>"], "types": [BYTE], "unknown_id": 0},
            "byte token.*<0xG0>",
        ),
        (
            {**SENTENCEPIECE, "tokens": ["a"], "scores": [float("nan")], "unknown_id": 0},
            "scores.*NaN",
        ),
    ],
)
def test_unusable_vocabulary_is_refused_with_words(
    tmp_path: Path, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelFileError, match=message):
        load(tmp_path, **keys)


def test_byte_without_a_token_is_named_when_a_text_needs_it(tmp_path: Path) -> None:
    model = load(tmp_path, **BPE, tokens=ASCII)
    assert model.detokenize(model.tokenize("abc")) == "abc"
    with pytest.raises(ModelFileError, match="none for 32"):
        model.tokenize("a c")


def test_empty_and_repeated_pieces_are_harmless(tmp_path: Path) -> None:
    tokens = [*ASCII, "", "a", "ab", "ab", "<x>", "<x>", ""]
    types = [NORMAL] * (len(tokens) - 3) + [CONTROL] * 3
    model = load(tmp_path, **BPE, tokens=tokens, types=types, merges=["a b", "a b"])
    ids = model.tokenize("abab<x>")
    assert ids == [tokens.index("ab")] * 2 + [tokens.index("<x>")]
    assert model.detokenize([*ids, len(ASCII)]) == "abab<x>"


@pytest.mark.parametrize("token", [-1, 94, 2**31 - 1])
def test_id_outside_the_vocabulary_is_a_value_error(tmp_path: Path, token: int) -> None:
    model = load(tmp_path, **BPE, tokens=ASCII)
    with pytest.raises(ValueError, match="id"):
        model.detokenize([0, token])


def test_huge_piece_is_found_and_costs_nothing_elsewhere(tmp_path: Path) -> None:
    n = 50_000
    tokens = ["<unk>", *BYTES, "a", "b", "ab", "ab" * n]
    types = [UNKNOWN, *[BYTE] * 256, NORMAL, NORMAL, NORMAL, NORMAL]
    scores = [0.0] * 257 + [-1.0, -2.0, -3.0, -4.0]
    keys = {**SENTENCEPIECE, "tokens": tokens, "scores": scores, "unknown_id": 0}
    model = load(tmp_path, **keys, types=types)
    assert model.tokenize("ab" * n) == [tokens.index("ab")] * n  # there is no way to merge up to it
    assert model.detokenize([len(tokens) - 1]) == "ab" * n


def test_control_token_longer_than_any_real_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="at most 256 bytes; found token 94 of 257"):
        load(tmp_path, **BPE, tokens=[*ASCII, "<" * 257], types=[NORMAL] * 94 + [CONTROL])


def test_unused_rows_of_a_padded_vocabulary_are_never_produced(tmp_path: Path) -> None:
    model = load(tmp_path, **BPE, tokens=[*ASCII, "[PAD94]"], types=[NORMAL] * 94 + [UNUSED])
    assert 94 not in model.tokenize("[PAD94]", special=True)
    assert model.detokenize([94]) == "[PAD94]"
