"""Reads a checkpoint's tokenizer.

Three kinds of files are read: ``tokenizer.model`` (SentencePiece), ``vocab.json`` with
``merges.txt`` (byte-level BPE), and ``tokenizer.json`` (either). The tokenizer's own added tokens
come on top; rows of the embedding that no token uses are named ``[PAD<id>]``, and added tokens
without a row are left out, as the model can neither read nor write them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crispvl.convert.files import CheckpointFiles
from crispvl.convert.tokenizer_files import (
    from_sentencepiece,
    from_tokenizer_json,
    from_vocab_and_merges,
    knows_class,
)
from crispvl.convert.values import mapping, sequence, text, token_id
from crispvl.convert.vocabulary import Vocabulary
from crispvl.errors import ModelFileError
from crispvl.prompts.conversations import CONVERSATIONS

# Added tokens that no prompt can be written without.
_IMAGE_TOKENS = ("<img>", "</img>", "<IMG_CONTEXT>")


def read_vocabulary(files: CheckpointFiles, vocab_size: int | None) -> Vocabulary:
    """Reads the tokenizer of a checkpoint.

    Args:
        files: The checkpoint.
        vocab_size: Rows of the token embedding; the vocabulary is padded to it. None where that is
            not known.

    Raises:
        ModelFileError: No tokenizer, one of an unknown kind, or one with more tokens than rows.
    """
    settings = files.json("tokenizer_config.json") or {}
    if files.has("tokenizer.model"):
        vocabulary = from_sentencepiece(files)
        # transformers' LlamaTokenizer; its older behaviour is SentencePiece's own.
        vocabulary.prefix_at_start = settings.get("legacy") is False
    elif files.has("vocab.json") and files.has("merges.txt") and knows_class(settings, files):
        vocabulary = from_vocab_and_merges(files, settings)
    elif files.has("tokenizer.json"):
        vocabulary = from_tokenizer_json(files)
    else:
        raise ModelFileError(
            f"[{files.name}] expected tokenizer.model, vocab.json with merges.txt, or "
            "tokenizer.json; found none; give a complete checkpoint folder"
        )
    if vocab_size is not None and len(vocabulary.tokens) > vocab_size:
        raise ModelFileError(
            f"[tokenizer] expected at most {vocab_size} tokens, one for each row of the "
            f"embedding; found {len(vocabulary.tokens)}; the tokenizer belongs to another model"
        )
    needed = {*_IMAGE_TOKENS, *(c.stop for c in CONVERSATIONS.values())}
    needed.update(_texts(settings, "eos_token"))
    for i, (token, special, rstrip) in sorted(_added_tokens(files, settings).items()):
        if vocab_size is None or i < vocab_size:
            vocabulary.add(i, token, special)
            vocabulary.strip_after += [i] if rstrip else []
        elif token in needed:
            raise ModelFileError(
                f"[tokenizer] expected ids below {vocab_size}, the rows of the embedding; found "
                f"'{token}' as {i}; the tokenizer belongs to another model"
            )
        else:
            vocabulary.left_out.append(token)
    _read_settings(vocabulary, settings)
    vocabulary.pad(vocab_size or 0)
    return vocabulary


def _added_tokens(
    files: CheckpointFiles, settings: Mapping[str, Any]
) -> dict[int, tuple[str, bool, bool]]:
    """Id to text, whether the token is special, and whether it takes spaces after it along.

    From every file that names added tokens.
    """
    added: dict[int, tuple[str, bool, bool]] = {}
    special: set[str] = set()
    for role in ("additional_special_tokens", "bos_token", "eos_token", "pad_token", "unk_token"):
        special.update(_texts(settings, role))
    for token, i in (files.json("added_tokens.json") or {}).items():
        added[token_id(i, "added_tokens.json")] = (token, token in special, False)
    where = "tokenizer.json: added_tokens"
    for entry in sequence((files.json("tokenizer.json") or {}).get("added_tokens"), where):
        added[token_id(mapping(entry, where).get("id"), where)] = _added(entry, where)
    where = "tokenizer_config.json: added_tokens_decoder"
    for i, entry in mapping(settings.get("added_tokens_decoder"), where).items():
        added[token_id(i, where)] = _added(entry, where)
    return added


def _added(entry: Any, where: str) -> tuple[str, bool, bool]:
    entry = mapping(entry, where)
    return text(entry.get("content"), where), bool(entry.get("special")), bool(entry.get("rstrip"))


def _read_settings(vocabulary: Vocabulary, settings: Mapping[str, Any]) -> None:
    """Applies tokenizer_config.json: the special tokens by role, and whether they are added."""
    for role in ("bos", "eos", "unk", "pad"):
        key = f"{role}_token"
        if key not in settings:
            continue
        texts = _texts(settings, key)
        setattr(vocabulary, f"{role}_id", vocabulary.find(texts[0]) if texts else None)
    for key in ("add_bos", "add_eos"):
        value = settings.get(f"{key}_token")
        if isinstance(value, bool):
            setattr(vocabulary, key, value)


def _texts(settings: Mapping[str, Any], key: str) -> list[str]:
    """Token texts of a field that holds null, text, an object with ``content``, or a list."""
    value = settings.get(key)
    items = value if isinstance(value, list) else [] if value is None else [value]
    contents = [i.get("content") if isinstance(i, Mapping) else i for i in items]
    return [text(content, f"tokenizer_config.json: {key}") for content in contents]
