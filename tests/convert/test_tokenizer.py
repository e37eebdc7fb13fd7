"""Tokenizer files to the arrays of a GGUF file."""

from __future__ import annotations

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from crispvl import Model
from crispvl.convert import convert_checkpoint
from crispvl.convert.files import CheckpointFiles
from crispvl.convert.sentencepiece import read_sentencepiece
from crispvl.convert.tokenizer import read_vocabulary
from crispvl.convert.vocabulary import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED
from crispvl.convert.vocabulary import Vocabulary as Vocab
from crispvl.errors import ModelFileError
from crispvl.prompts.builder import PromptBuilder
from crispvl.prompts.conversations import CONVERSATIONS
from crispvl.prompts.messages import Message
from tiny import make_checkpoint
from tiny.rows import row, variant
from tiny.tokenizer import SPECIAL_TOKENS, byte_alphabet, write_sentencepiece, write_tokenizer

SIZE = 352


def read(folder: Path, size: int = SIZE) -> Vocab:
    return read_vocabulary(CheckpointFiles(folder, folder.name, ""), size)


def edit_json(path: Path, **changes: Any) -> None:
    data = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**data, **changes}), "utf-8")


def test_byte_level_files_become_tokens_merges_and_types(tmp_path: Path) -> None:
    special = write_tokenizer(tmp_path, "bpe")
    found = read(tmp_path)
    assert (found.model, found.pre, found.scores) == ("gpt2", "qwen2", [])
    assert found.tokens[:256] == byte_alphabet()
    assert len(found.tokens) == len(found.types) == SIZE
    n_learnt = 256 + len(found.merges)
    assert found.tokens[256:n_learnt] == [m.replace(" ", "") for m in found.merges]
    assert found.types[:n_learnt] == [NORMAL] * n_learnt
    assert found.types[n_learnt : n_learnt + 6] == [CONTROL] * 6
    assert tuple(found.tokens[n_learnt : n_learnt + 6]) == SPECIAL_TOKENS
    assert found.tokens[-1] == f"[PAD{SIZE - 1}]"
    assert set(found.types[n_learnt + 6 :]) == {UNUSED}
    assert (found.bos_id, found.eos_id) == (None, special["<|im_end|>"])
    assert (found.add_bos, found.add_eos, found.add_space_prefix) == (False, False, False)


def test_tokenizer_json_says_the_same_as_the_slow_files(tmp_path: Path) -> None:
    for folder, kind in (("slow", "bpe"), ("fast", "bpe-json")):
        (tmp_path / folder).mkdir()
        write_tokenizer(tmp_path / folder, kind)
    assert read(tmp_path / "fast") == read(tmp_path / "slow")


def test_tokenizer_json_is_read_where_the_class_of_the_slow_files_is_not_known(
    tmp_path: Path,
) -> None:
    write_tokenizer(tmp_path, "bpe-json")
    want = read(tmp_path)
    write_tokenizer(tmp_path, "bpe")
    edit_json(tmp_path / "tokenizer_config.json", tokenizer_class="TokenizersBackend")
    assert read(tmp_path) == want


def test_vocabulary_of_bytes_alone_has_no_merges(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, "bytes")
    assert read(tmp_path).merges == []


def test_added_tokens_may_take_the_spaces_after_them_along(tmp_path: Path) -> None:
    special = write_tokenizer(tmp_path, "bpe")
    end = special["<|im_end|>"]
    assert read(tmp_path).strip_after == []
    entry = {"content": "<|im_end|>", "special": True, "rstrip": True}
    edit_json(tmp_path / "tokenizer_config.json", added_tokens_decoder={str(end): entry})
    assert read(tmp_path).strip_after == [end]


def test_added_token_that_is_not_special_is_user_defined(tmp_path: Path) -> None:
    special = write_tokenizer(tmp_path, "bpe")
    n = max(special.values())
    edit_json(
        tmp_path / "tokenizer_config.json",
        added_tokens_decoder={
            str(n + 1): {"content": "<tool_call>", "special": False},
            str(n + 2): {"content": "<|fim_pad|>", "special": False},
        },
    )
    found = read(tmp_path)
    assert (found.tokens[n + 1], found.types[n + 1]) == ("<tool_call>", USER_DEFINED)
    assert (found.tokens[n + 2], found.types[n + 2]) == ("<|fim_pad|>", CONTROL)


def test_added_token_without_a_row_in_the_embedding_is_left_out(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, "bpe")
    want = read(tmp_path).tokens
    edit_json(tmp_path / "added_tokens.json", **{"<video>": SIZE})
    found = read(tmp_path)
    assert found.tokens == want
    assert found.left_out == ["<video>"]


@pytest.mark.parametrize("token", ["<img>", "</img>", "<IMG_CONTEXT>", "<|im_end|>"])
def test_a_needed_token_without_a_row_in_the_embedding_is_refused(
    token: str, tmp_path: Path
) -> None:
    write_tokenizer(tmp_path, "bpe")
    edit_json(tmp_path / "tokenizer_config.json", added_tokens_decoder={})
    edit_json(tmp_path / "added_tokens.json", **{token: 10**5})
    with pytest.raises(ModelFileError, match=f"found '{re.escape(token)}' as 100000"):
        read(tmp_path)


def test_sentencepiece_pieces_keep_scores_and_types(tmp_path: Path) -> None:
    special = write_tokenizer(tmp_path, "spm")
    found = read(tmp_path)
    assert (found.model, found.pre, found.merges) == ("llama", "default", [])
    assert found.tokens[:4] == ["<unk>", "<s>", "</s>", "<0x00>"]
    assert found.types[:4] == [UNKNOWN, CONTROL, CONTROL, BYTE]
    n_pieces = min(special.values())
    ranked = found.scores[259:n_pieces]
    assert ranked == [-float(rank) for rank in range(len(ranked))]
    assert set(found.scores[n_pieces:]) == {-1000.0}
    assert found.add_bos
    assert not found.add_space_prefix
    assert (found.bos_id, found.unk_id, found.eos_id) == (1, 0, special["<|im_end|>"])


def test_dummy_prefix_of_sentencepiece_is_kept(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, "spm-prefix")
    assert read(tmp_path).add_space_prefix


def test_our_reader_of_sentencepiece_agrees_with_the_library(tmp_path: Path) -> None:
    library = pytest.importorskip("sentencepiece")
    write_sentencepiece(tmp_path / "m", add_prefix=True, extra=["é€".encode(), b"\xf0\x9f\x98\x80"])
    theirs = library.SentencePieceProcessor(model_file=str(tmp_path / "m"))
    ours = read_sentencepiece(tmp_path / "m")
    assert len(ours.pieces) == theirs.vocab_size()
    for i, piece in enumerate(ours.pieces):
        assert piece.text.decode() == theirs.id_to_piece(i)
        assert piece.score == pytest.approx(theirs.get_score(i))
        assert (piece.type == UNKNOWN, piece.type == CONTROL, piece.type == BYTE) == (
            theirs.is_unknown(i), theirs.is_control(i), theirs.is_byte(i),
        )  # fmt: skip
    ids = (ours.unk_id, ours.bos_id, ours.eos_id, ours.pad_id)
    assert ids == (theirs.unk_id(), theirs.bos_id(), theirs.eos_id(), theirs.pad_id())


def test_golden_sentencepiece_agrees_with_the_library(shared_dir: Path) -> None:
    library = pytest.importorskip("sentencepiece")
    path = shared_dir / "goldens" / "chat-internlm2" / "tokenizer.model"
    theirs = library.SentencePieceProcessor(model_file=str(path))
    ours = read_sentencepiece(path)
    assert [p.text.decode() for p in ours.pieces] == [
        theirs.id_to_piece(i) for i in range(theirs.vocab_size())
    ]
    assert [p.score for p in ours.pieces] == [theirs.get_score(i) for i in range(len(ours.pieces))]


def test_nul_piece_gets_llama_cpps_stand_in(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, "spm")
    pieces = write_sentencepiece(tmp_path / "tokenizer.model", extra=[b"\0"])
    (tmp_path / "added_tokens.json").unlink()
    edit_json(tmp_path / "tokenizer_config.json", added_tokens_decoder={})
    found = read(tmp_path)
    assert found.tokens[pieces.index("\0")] == "🐉"
    assert not any("\0" in token for token in found.tokens)


def test_sentencepiece_in_tokenizer_json_merges_in_the_same_order(tmp_path: Path) -> None:
    slow, fast = tmp_path / "slow", tmp_path / "fast"
    slow.mkdir()
    write_tokenizer(slow, "spm")
    want = read(slow)
    n_pieces = want.tokens.index("<|endoftext|>")
    score = dict(zip(want.tokens[259:n_pieces], want.scores[259:n_pieces], strict=True))
    splits = sorted(
        ((left, piece[len(left) :]) for piece in score for left in score
         if left != piece and piece.startswith(left) and piece[len(left) :] in score),
        key=lambda pair: -score["".join(pair)],
    )  # fmt: skip
    shutil.copytree(slow, fast)
    (fast / "tokenizer.model").unlink()
    model = {
        "type": "BPE",
        "byte_fallback": True,
        "unk_token": "<unk>",
        "vocab": {token: i for i, token in enumerate(want.tokens[:n_pieces])},
        "merges": [list(pair) for pair in splits],
    }
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    prepend = {"type": "Prepend", "prepend": "▁"}
    edit = {"model": model, "normalizer": {"type": "Sequence", "normalizers": [prepend, replace]},
            "added_tokens": [{"id": i, "content": t, "special": True}
                             for i, t in enumerate(("<unk>", "<s>", "</s>"))]}  # fmt: skip
    (fast / "tokenizer.json").write_text(json.dumps(edit), "utf-8")
    found = read(fast)
    assert (found.model, found.tokens, found.add_space_prefix) == ("llama", want.tokens, True)
    assert found.types == want.types
    merged = [left + right for left, right in splits]
    assert all(found.scores[found.tokens.index(p)] >= found.scores[found.tokens.index(q)]
               for p, q in pairwise(merged))  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("bpe", "no-class", "expected tokenizer_class to be one of Qwen2Tokenizer"),
        ("bpe-json", "other-pattern", "expected the pre-tokeniser of qwen2"),
        ("bpe-json", "unigram", "expected a BPE model; found 'Unigram'"),
        ("spm", "damaged", "expected a SentencePiece model"),
        ("bpe", "no-files", "expected tokenizer.model, vocab.json with merges.txt"),
        ("bpe", "too-many", "expected at most 10 tokens"),
        ("bpe", "gap", "expected token ids from 0 on"),
    ],
)
def test_unusable_tokenizer_is_refused_with_words(
    kind: str, change: str, message: str, tmp_path: Path
) -> None:
    write_tokenizer(tmp_path, kind)
    size = SIZE
    if change == "no-class":
        edit_json(tmp_path / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    elif change == "other-pattern":
        edit_json(tmp_path / "tokenizer.json", pre_tokenizer=None)
    elif change == "unigram":
        edit_json(tmp_path / "tokenizer.json", model={"type": "Unigram"})
    elif change == "damaged":
        (tmp_path / "tokenizer.model").write_bytes(b"version https://git-lfs")
    elif change == "no-files":
        (tmp_path / "vocab.json").unlink()
    elif change == "gap":
        (tmp_path / "vocab.json").write_text('{"a": 0, "b": 100000000}', "utf-8")
    else:
        size = 10
    with pytest.raises(ModelFileError, match=message):
        read(tmp_path, size)


def test_only_the_start_of_a_text_has_the_space_where_the_tokenizer_says_so(
    tmp_path: Path,
) -> None:
    write_tokenizer(tmp_path, "spm-prefix")
    assert not read(tmp_path).prefix_at_start
    edit_json(tmp_path / "tokenizer_config.json", legacy=False)
    found = read(tmp_path)
    assert (found.add_space_prefix, found.prefix_at_start) == (True, True)


PROMPTS = (
    "<|im_start|>user\nthe text<|im_end|>\n<|im_start|>assistant\n",
    "<img></img>\n the page",
    "the page<|im_end|>  the text",
)


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("legacy", [False, True])
def test_prompts_have_the_ids_that_transformers_gives_them(
    legacy: bool, prompt: str, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    special = make_checkpoint(variant(row("internlm2"), tokenizer="spm-prefix"), tmp_path / "a")
    path = special / "tokenizer_config.json"
    added = json.loads((special / "added_tokens.json").read_text("utf-8"))
    entries = {
        str(i): {"content": token, "special": True, "normalized": False,
                 "rstrip": token.startswith("<|im")}
        for token, i in added.items()
    }  # fmt: skip
    edit_json(path, tokenizer_class="LlamaTokenizer", legacy=legacy, added_tokens_decoder=entries)
    theirs = transformers.LlamaTokenizer.from_pretrained(special)
    convert_checkpoint(special, tmp_path / "a.gguf", "f32")
    ours = Model.load(tmp_path / "a.gguf", device="cpu")
    assert ours.tokenize(prompt) == theirs.encode(prompt, add_special_tokens=False)
    messages = [Message("user", ("the text",)), Message("assistant", ("of the page",))]
    whole = CONVERSATIONS["internvl2_5"].render(messages, ours.config.chat.system_message)
    built = PromptBuilder(ours).build(messages, [])
    assert built == [ours.config.tokenizer.bos_id, *theirs.encode(whole, add_special_tokens=False)]
