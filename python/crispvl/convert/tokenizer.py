"""Reads a checkpoint's tokenizer.

Three kinds of files are read: ``tokenizer.model`` (SentencePiece), ``vocab.json`` with
``merges.txt`` (byte-level BPE), and ``tokenizer.json`` (either). The tokenizer's own added tokens
come on top, and rows of the embedding that no token uses are named ``[PAD<id>]``.
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
from crispvl.convert.vocabulary import Vocabulary
from crispvl.errors import ModelFileError


def read_vocabulary(files: CheckpointFiles, vocab_size: int | None) -> Vocabulary:
    """Reads the tokenizer of a checkpoint.

    Args:
        files: The checkpoint.
        vocab_size: Rows of the token embedding; the vocabulary is padded to it. None where that is
            not known.

    Raises:
        ModelFileError: No tokenizer, one of an unknown kind, or more tokens than rows.
    """
    settings = files.json("tokenizer_config.json") or {}
    if files.has("tokenizer.model"):
        vocabulary = from_sentencepiece(files)
    elif files.has("vocab.json") and files.has("merges.txt") and knows_class(settings, files):
        vocabulary = from_vocab_and_merges(files, settings)
    elif files.has("tokenizer.json"):
        vocabulary = from_tokenizer_json(files)
    else:
        raise ModelFileError(
            f"[{files.name}] expected tokenizer.model, vocab.json with merges.txt, or "
            "tokenizer.json; found none; give a complete checkpoint folder"
        )
    for token_id, (text, special) in _added_tokens(files, settings).items():
        vocabulary.add(token_id, text, special)
    _read_settings(vocabulary, settings)
    if vocab_size is None:
        return vocabulary
    if len(vocabulary.tokens) > vocab_size:
        raise ModelFileError(
            f"[tokenizer] expected at most {vocab_size} tokens, one for each row of the "
            f"embedding; found {len(vocabulary.tokens)}; the tokenizer belongs to another model"
        )
    vocabulary.pad(vocab_size)
    return vocabulary


def _added_tokens(
    files: CheckpointFiles, settings: Mapping[str, Any]
) -> dict[int, tuple[str, bool]]:
    """Id to text and whether the token is special, from every file that names added tokens."""
    added: dict[int, tuple[str, bool]] = {}
    special = set(_texts(settings.get("additional_special_tokens")))
    for key in ("bos_token", "eos_token", "pad_token", "unk_token"):
        special.update(_texts(settings.get(key)))
    for token, i in (files.json("added_tokens.json") or {}).items():
        added[int(i)] = (token, token in special)
    for entry in (files.json("tokenizer.json") or {}).get("added_tokens") or []:
        added[int(entry["id"])] = (entry["content"], bool(entry.get("special")))
    for i, entry in (settings.get("added_tokens_decoder") or {}).items():
        added[int(i)] = (entry["content"], bool(entry.get("special")))
    return added


def _read_settings(vocabulary: Vocabulary, settings: Mapping[str, Any]) -> None:
    """Applies tokenizer_config.json: the special tokens by role, and whether they are added."""
    for role in ("bos", "eos", "unk", "pad"):
        key = f"{role}_token"
        if key not in settings:
            continue
        texts = _texts(settings[key])
        setattr(vocabulary, f"{role}_id", vocabulary.find(texts[0]) if texts else None)
    for key in ("add_bos", "add_eos"):
        value = settings.get(f"{key}_token")
        if isinstance(value, bool):
            setattr(vocabulary, key, value)


def _texts(value: Any) -> list[str]:
    """Token texts of a field that holds null, text, an object with ``content``, or a list."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [str(value["content"])]
    return [text for item in value for text in _texts(item)]
