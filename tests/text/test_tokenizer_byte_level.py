"""Byte-level BPE against `tokenizers`, on vocabularies trained here."""

from __future__ import annotations

import itertools
import random
import string
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crispvl import Model
from hypothesis import given
from text.texts import EXAMPLES, known_text
from text.vocab_files import CONTROL_PIECES, like_qwen2, train_byte_level, write_byte_level

pytest.importorskip("tokenizers", reason="the reference of byte-level BPE")

# One or two of each kind that the pattern tells apart; the long s is an s for (?i:'s).
BOUNDARIES = ("'", "s", "\u017f", "文", "1", "\u00bd", " ", "\n", "\u3000", "!")


@dataclass(frozen=True)
class Pair:
    """Our tokenizer and the reference it was written from."""

    ours: Model
    reference: Any

    def reference_ids(self, text: str, special: bool) -> list[int]:
        self.reference.encode_special_tokens = not special
        return list(self.reference.encode(text, add_special_tokens=False).ids)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    reference = train_byte_level()
    path = write_byte_level(tmp_path_factory.mktemp("bpe") / "vocab.gguf", reference)
    return Pair(Model.load(path, vocab_only=True), reference)


@pytest.fixture(scope="module")
def pairs_of_bytes(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A vocabulary in which any two bytes of a word can merge, so that word boundaries show."""
    import tokenizers as hf

    byte_level = hf.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    used = {b for text in (*BOUNDARIES, *string.ascii_letters) for b in letters(byte_level, text)}
    merges = [(a, b) for a in sorted(used) for b in sorted(used)]
    random.Random(4).shuffle(merges)
    pieces = [*sorted(byte_level.alphabet()), *(a + b for a, b in merges)]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    reference = like_qwen2(hf.models.BPE(vocab, merges))
    path = write_byte_level(tmp_path_factory.mktemp("bpe") / "vocab.gguf", reference)
    return Pair(Model.load(path, vocab_only=True), reference)


def letters(byte_level: Any, text: str) -> str:
    """A text in the alphabet of byte-level BPE."""
    return "".join(word for word, _ in byte_level.pre_tokenize_str(text))


@pytest.fixture(scope="module")
def without_merges(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> Model:
    path = tmp_path_factory.mktemp("bpe") / "vocab.gguf"
    return Model.load(write_byte_level(path, pair.reference, with_merges=False), vocab_only=True)


def merge_by_id(word: list[str], vocab: dict[str, int]) -> list[str]:
    """BPE where a joined piece's id is its rank, the plainest way: the rule of tiktoken."""
    while True:
        ranks = [vocab.get(a + b) for a, b in itertools.pairwise(word)]
        known = [(rank, i) for i, rank in enumerate(ranks) if rank is not None]
        if not known:
            return word
        _, i = min(known)
        word = [*word[:i], word[i] + word[i + 1], *word[i + 2 :]]


@EXAMPLES
@given(text=known_text())
def test_ids_equal_the_reference(pair: Pair, text: str) -> None:
    assert pair.ours.tokenize(text, special=True) == pair.reference_ids(text, special=True)


@EXAMPLES
@given(text=known_text())
def test_ids_equal_the_reference_when_special_tokens_are_plain_text(pair: Pair, text: str) -> None:
    assert pair.ours.tokenize(text, special=False) == pair.reference_ids(text, special=False)


@EXAMPLES
@given(text=known_text())
def test_plain_text_comes_back_in_normalisation_form_c(pair: Pair, text: str) -> None:
    parts = [text]
    for piece in ("<think>", "=>>", "=>"):  # found before a text is normalised
        parts = [part for whole in parts for part in whole.split(piece)]
    for part in parts:
        back = pair.ours.detokenize(pair.ours.tokenize(part, special=False))
        assert back == unicodedata.normalize("NFC", part)


@EXAMPLES
@given(text=known_text())
def test_without_merges_the_id_of_the_joined_piece_is_its_rank(
    pair: Pair, without_merges: Model, text: str
) -> None:
    added = {token.content for token in pair.reference.get_added_tokens_decoder().values()}
    vocab = {p: i for p, i in pair.reference.get_vocab().items() if p not in added}
    for piece in (*added, "<", "="):  # no part of an added token stays
        text = text.replace(piece, "")
    normal = pair.reference.normalizer.normalize_str(text)
    words = pair.reference.pre_tokenizer.pre_tokenize_str(normal)
    want = [vocab[piece] for word, _ in words for piece in merge_by_id(list(word), vocab)]
    assert without_merges.tokenize(text, special=False) == want


def test_words_end_where_the_pattern_ends_them(pairs_of_bytes: Pair) -> None:
    for n in range(1, 5):
        for characters in itertools.product(BOUNDARIES, repeat=n):
            text = "".join(characters)
            want = pairs_of_bytes.reference_ids(text, special=True)
            assert pairs_of_bytes.ours.tokenize(text) == want, ascii(text)


def test_contractions_end_where_the_pattern_ends_them(pairs_of_bytes: Pair) -> None:
    for a, b in itertools.product(string.ascii_letters, repeat=2):
        text = f"x'{a}{b}e"
        want = pairs_of_bytes.reference_ids(text, special=True)
        assert pairs_of_bytes.ours.tokenize(text) == want, text


@pytest.mark.parametrize("piece", CONTROL_PIECES)
def test_special_token_is_one_id_or_plain_text_as_asked(pair: Pair, piece: str) -> None:
    token = pair.reference.token_to_id(piece)
    assert pair.ours.tokenize(piece, special=True) == [token]
    assert token not in pair.ours.tokenize(piece, special=False)
    assert pair.ours.detokenize([token]) == piece


@pytest.mark.parametrize("character", ["a", " ", "\n", "!", "文", "\u0301", "0"])
def test_long_run_of_one_character_equals_the_reference(pair: Pair, character: str) -> None:
    text = character * 30_000
    assert pair.ours.tokenize(text, special=True) == pair.reference_ids(text, special=True)


def test_empty_text_has_no_ids(pair: Pair) -> None:
    assert pair.ours.tokenize("") == []
    assert pair.ours.detokenize([]) == ""


def test_every_character_of_every_plane_comes_back(pair: Pair) -> None:
    for first in range(0, 0x110000, 0x1000):
        codes = (c for c in range(first, first + 0x1000) if not 0xD800 <= c < 0xE000)
        text = "".join(f"{chr(c)} " for c in codes)
        back = pair.ours.detokenize(pair.ours.tokenize(text, special=False))
        assert back == unicodedata.normalize("NFC", text), hex(first)


def test_loading_twice_gives_the_same_ids(pair: Pair, tmp_path: Path) -> None:
    path = write_byte_level(tmp_path / "again.gguf", pair.reference)
    text = "Größe 12,50 € <img>don't</img>\n\n  x"
    assert Model.load(path, vocab_only=True).tokenize(text) == pair.ours.tokenize(text)


@pytest.mark.parametrize(
    "spaces", ["", " ", "\n", " \r\n\u3000\t", "\x1c", "\u200b", "\n<|im_end|> "]
)
def test_a_token_may_take_the_spaces_after_it_along(spaces: str, tmp_path: Path) -> None:
    import tokenizers as hf

    reference = train_byte_level()
    token = hf.AddedToken("<|user|>", normalized=False, special=True, rstrip=True)
    reference.add_special_tokens([token])
    ids = [reference.token_to_id("<|user|>")]
    path = write_byte_level(tmp_path / "vocab.gguf", reference, strip_after=ids)
    ours = Pair(Model.load(path, vocab_only=True), reference)
    for text in (f"a <|user|>{spaces}x", f"<|user|>{spaces}", f"<|user|>{spaces}<|user|>\n"):
        assert ours.ours.tokenize(text) == ours.reference_ids(text, special=True)


def test_marks_of_phi3_take_the_spaces_after_them_along_in_files_that_do_not_say(
    tmp_path: Path,
) -> None:
    import tokenizers as hf

    reference = train_byte_level()
    marks = [hf.AddedToken(t, normalized=False, special=True, rstrip=True)
             for t in ("<|user|>", "<|end|>", "</s>")]  # fmt: skip
    plain = [hf.AddedToken(t, normalized=False, special=True) for t in ("<|endoftext|>", "<img>")]
    reference.add_special_tokens([*marks, *plain])
    path = write_byte_level(tmp_path / "vocab.gguf", reference, arch="phi3")
    pair = Pair(Model.load(path, vocab_only=True), reference)
    for mark in ("<|user|>", "<|end|>", "</s>", "<|endoftext|>", "<img>"):
        text = f"a {mark}\n b"
        assert pair.ours.tokenize(text) == pair.reference_ids(text, special=True)
