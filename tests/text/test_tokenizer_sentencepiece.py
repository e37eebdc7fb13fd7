"""SentencePiece BPE against `sentencepiece`, on vocabularies trained here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crispvl import Model
from hypothesis import given
from text.texts import EXAMPLES, any_text
from text.vocab_files import (
    corpus,
    train_sentencepiece,
    write_sentencepiece,
    write_vocabulary,
)

sentencepiece = pytest.importorskip("sentencepiece", reason="the reference of SentencePiece BPE")

USER_DEFINED = ("the", "he", "=>", "\u2581of", "...")
CONTROL = ("<|im_start|>", "<img>", "</img>", "<im")
OPTIONS: dict[str, dict[str, Any]] = {
    "no space prefix": {"add_dummy_prefix": False},
    "space prefix": {"add_dummy_prefix": True},
    "pieces across words": {"add_dummy_prefix": False, "split_by_whitespace": False},
    "user-defined pieces": {"add_dummy_prefix": True, "user_defined_symbols": list(USER_DEFINED)},
    "no byte fallback": {"add_dummy_prefix": True, "byte_fallback": False},
}


@dataclass(frozen=True)
class Pair:
    """Our tokenizer and the reference it was written from."""

    ours: Model
    reference: Any
    has_bytes: bool

    def reference_ids(self, text: str) -> list[int]:
        """Ids with control tokens split out first, as the tokenizers of InternLM do."""
        known = [re.escape(piece) for piece in sorted(CONTROL, key=len, reverse=True)]
        own = {self.reference.id_to_piece(i): i for i in range(3)}  # <unk>, <s>, </s>
        added = {p: self.reference.get_piece_size() + i for i, p in enumerate(CONTROL)}
        pattern = "(" + "|".join([*known, *map(re.escape, own)]) + ")"
        ids: list[int] = []
        for i, part in enumerate(re.split(pattern, text)):
            if i % 2 == 1:
                ids.append({**own, **added}[part])
            else:
                ids.extend(self.reference.encode(part))
        return ids


@pytest.fixture(scope="module", params=OPTIONS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    options = OPTIONS[request.param]
    reference = sentencepiece.SentencePieceProcessor(model_proto=train_sentencepiece(**options))
    path = write_sentencepiece(
        tmp_path_factory.mktemp("sp") / "vocab.gguf",
        reference,
        add_space_prefix=options["add_dummy_prefix"],
        user_defined=options.get("user_defined_symbols", ()),
        added_control=CONTROL,
    )
    has_bytes = options.get("byte_fallback", True)
    return Pair(Model.load(path, vocab_only=True), reference, has_bytes)


@EXAMPLES
@given(text=any_text())
def test_ids_equal_the_reference(pair: Pair, text: str) -> None:
    assert pair.ours.tokenize(text, special=False) == pair.reference.encode(text)


@EXAMPLES
@given(text=any_text())
def test_special_tokens_are_split_out_first(pair: Pair, text: str) -> None:
    assert pair.ours.tokenize(text, special=True) == pair.reference_ids(text)


@EXAMPLES
@given(text=any_text())
def test_text_comes_back_as_the_reference_gives_it(pair: Pair, text: str) -> None:
    ids = pair.ours.tokenize(text, special=False)
    want = pair.reference.decode(ids)
    if pair.has_bytes:
        assert pair.ours.detokenize(ids) == want == text.replace("\u2581", " ")
    else:
        assert pair.ours.detokenize(ids) == want.replace(" \u2047 ", "<unk>")


@pytest.mark.parametrize("character", ["a", " ", "\n", "文", "\U0001f642"])
def test_long_run_of_one_character_equals_the_reference(pair: Pair, character: str) -> None:
    text = character * 30_000
    assert pair.ours.tokenize(text, special=False) == pair.reference.encode(text)


def test_without_scores_the_id_is_the_rank(tmp_path_factory: pytest.TempPathFactory) -> None:
    blob = train_sentencepiece(add_dummy_prefix=False)
    reference = sentencepiece.SentencePieceProcessor(model_proto=blob)
    path = tmp_path_factory.mktemp("sp") / "vocab.gguf"
    write_sentencepiece(path, reference, add_space_prefix=False, with_scores=False)
    ours = Model.load(path, vocab_only=True)
    for text in corpus():
        assert ours.tokenize(text, special=False) == reference.encode(text)  # scores fall with ids


def test_user_defined_piece_is_never_part_of_a_longer_one(tmp_path: Path) -> None:
    tokens = ["<unk>", "a", "b", "c", "ab", "abc", "ca", "cab"]
    types = [2, 1, 1, 1, 4, 1, 1, 1]  # "ab" is user-defined
    scores = [0.0, 0.0, 0.0, 0.0, -9.0, -1.0, -2.0, -3.0]
    path = write_vocabulary(
        tmp_path / "vocab.gguf", model="llama", pre="default",
        tokens=tokens, types=types, scores=scores, unknown_id=0,
    )  # fmt: skip
    ids = Model.load(path, vocab_only=True).tokenize("abcabca")
    assert [tokens[i] for i in ids] == ["ab", "c", "ab", "ca"]


@pytest.fixture(scope="module")
def at_start(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A vocabulary that begins a text with a space, but not what comes after a token."""
    proto = train_sentencepiece(add_dummy_prefix=False)
    reference = sentencepiece.SentencePieceProcessor(model_proto=proto)
    first = reference.get_piece_size()
    path = write_sentencepiece(
        tmp_path_factory.mktemp("sp") / "vocab.gguf", reference, add_space_prefix=True,
        prefix_at_start=True, strip_after=[first], added_control=CONTROL,
    )  # fmt: skip
    return Pair(Model.load(path, vocab_only=True), reference, has_bytes=True)


def test_a_space_may_begin_a_text_and_no_part_after_a_token(at_start: Pair) -> None:
    first = at_start.reference.get_piece_size()  # <|im_start|>, which takes spaces along
    plain = at_start.reference.encode
    ours = at_start.ours.tokenize
    assert ours("the text") == plain(" the text")
    assert ours(" the text") == plain(" the text")
    assert ours("a<img>the text") == [*plain(" a"), first + 1, *plain("the text")]
    assert ours("<img>the text") == [first + 1, *plain("the text")]
    assert ours("<|im_start|> \nthe text") == [first, *plain("the text")]


@pytest.mark.parametrize("text", ["<|im_start|>\nthe<img> text</img>", "a <|im_start|>  ", "<img>"])
def test_a_text_in_parts_has_the_ids_of_the_whole(at_start: Pair, text: str) -> None:
    ids: list[int] = []
    for part in re.split("(" + "|".join(map(re.escape, CONTROL[:3])) + ")", text):
        is_special = part in CONTROL
        if part:
            previous = ids[-1] if ids else None
            ids += at_start.ours.tokenize(part, special=is_special, previous=previous)
    assert ids == at_start.ours.tokenize(text)
