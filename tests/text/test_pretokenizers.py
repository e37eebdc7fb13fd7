"""The pre-tokenisers of Llama 3 and gpt-oss against `tokenizers`, on vocabularies made here."""

from __future__ import annotations

import itertools
import json
import random
import string
from pathlib import Path
from typing import Any

import pytest
from crispvl import Model
from hypothesis import given
from text.texts import EXAMPLES, known_text
from text.vocab_files import GPT_OSS_PATTERN, LLAMA3_PATTERN, like, write_byte_level

hf = pytest.importorskip("tokenizers", reason="the reference of byte-level BPE")

PATTERNS = {"llama-bpe": LLAMA3_PATTERN, "gpt-4o": GPT_OSS_PATTERN}

# One or two of each kind that the patterns tell apart, among them letters without a case, a mark,
# a titlecase letter and a modifier letter.
BOUNDARIES = ("'", "s", "S", "\u01c5", "\u02b0", "\u0301", "文", "1", " ", "\n", "\u3000", "!", "/")

Pair = tuple[Model, Any]


@pytest.fixture(scope="module", params=PATTERNS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A vocabulary in which any two bytes of a word can merge, so that word boundaries show."""
    byte_level = hf.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    texts = (*BOUNDARIES, *string.ascii_letters, "the", "Größe", "été")
    used = {c for text in texts for word, _ in byte_level.pre_tokenize_str(text) for c in word}
    merges = [(a, b) for a in sorted(used) for b in sorted(used)]
    random.Random(4).shuffle(merges)
    pieces = [*sorted(byte_level.alphabet()), *(a + b for a, b in merges)]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    pre: str = request.param
    reference = like(PATTERNS[pre], hf.models.BPE(vocab, merges))
    path = write_byte_level(tmp_path_factory.mktemp("bpe") / "vocab.gguf", reference, pre=pre)
    return Model.load(path, vocab_only=True), reference


def ids(reference: Any, text: str) -> list[int]:
    return list(reference.encode(text, add_special_tokens=False).ids)


@EXAMPLES
@given(text=known_text())
def test_ids_equal_the_reference(pair: Pair, text: str) -> None:
    ours, reference = pair
    assert ours.tokenize(text) == ids(reference, text)


def test_words_end_where_the_pattern_ends_them(pair: Pair) -> None:
    ours, reference = pair
    for n in range(1, 5):
        texts = ["".join(characters) for characters in itertools.product(BOUNDARIES, repeat=n)]
        for text, want in zip(texts, reference.encode_batch(texts), strict=True):
            assert ours.tokenize(text) == want.ids, ascii(text)


def test_contractions_end_where_the_pattern_ends_them(pair: Pair) -> None:
    ours, reference = pair
    for a, b, c in itertools.product("xX", string.ascii_letters, string.ascii_letters):
        text = f"{a}'{b}{c}e"
        assert ours.tokenize(text) == ids(reference, text), text


@pytest.mark.parametrize("digits", ["1", "12", "123", "1234", "1234567", "½12"])
def test_numbers_are_cut_after_three_digits(pair: Pair, digits: str) -> None:
    ours, reference = pair
    assert ours.tokenize(f"a{digits}b") == ids(reference, f"a{digits}b")


@pytest.mark.parametrize("character", ["a", "A", "文", "\u0301", "'", "/"])
def test_long_run_of_one_character_equals_the_reference(pair: Pair, character: str) -> None:
    ours, reference = pair
    assert ours.tokenize(character * 30_000) == ids(reference, character * 30_000)


def test_llama_takes_a_word_that_no_merge_makes(tmp_path: Path) -> None:
    """``ignore_merges`` of the published file."""
    alphabet = sorted(hf.pre_tokenizers.ByteLevel.alphabet())
    vocab = {piece: i for i, piece in enumerate([*alphabet, "xyz"])}
    reference = like(LLAMA3_PATTERN, hf.models.BPE(vocab, [], ignore_merges=True))
    assert json.loads(reference.to_str())["model"]["ignore_merges"]
    path = write_byte_level(tmp_path / "vocab.gguf", reference, pre="llama-bpe")
    ours = Model.load(path, vocab_only=True)
    assert ours.tokenize("xyz xyz") == ids(reference, "xyz xyz")
    assert ours.tokenize("xyz")[0] == vocab["xyz"]
