"""A checkpoint's tokenizer as the arrays that a GGUF file holds.

Three kinds of files are read: ``tokenizer.model`` (SentencePiece), ``vocab.json`` with
``merges.txt`` (byte-level BPE), and ``tokenizer.json`` (either). The tokenizer's own added tokens
come on top, and rows of the embedding that no token uses are named ``[PAD<id>]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crispvl.convert.files import CheckpointFiles
from crispvl.convert.sentencepiece import read_sentencepiece
from crispvl.errors import ModelFileError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

# llama.cpp gives added tokens this score in a SentencePiece vocabulary.
_ADDED_SCORE = -1000.0

# What llama.cpp puts in place of InternLM2's NUL piece, which no C string can hold.
_NUL_PIECE = "🐉"

# Pre-tokenisers of byte-level BPE that the engine has: llama.cpp's name by the split pattern.
_PRE_TOKENIZERS = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+": "qwen2",
}

# The same by the class that reads vocab.json and merges.txt, which has the pattern built in.
_PRE_TOKENIZER_CLASSES = {"Qwen2Tokenizer": "qwen2", "Qwen2TokenizerFast": "qwen2"}


@dataclass
class Vocabulary:
    """Tokens by id and what a tokenizer needs besides; None where a checkpoint names no token."""

    model: str
    pre: str
    tokens: list[str]
    types: list[int]
    scores: list[float] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)
    bos_id: int | None = None
    eos_id: int | None = None
    unk_id: int | None = None
    pad_id: int | None = None
    add_bos: bool = False
    add_eos: bool = False
    add_space_prefix: bool = False
    remove_extra_whitespaces: bool = False
    precompiled_charsmap: bytes = b""

    def find(self, text: str) -> int | None:
        """Id of the token with exactly this text, added tokens first."""
        for kinds in ((CONTROL, USER_DEFINED), (NORMAL, UNKNOWN, BYTE)):
            for i, token in enumerate(self.tokens):
                if token == text and self.types[i] in kinds:
                    return i
        return None

    def require(self, text: str) -> int:
        """Id of a token that the model cannot do without.

        Raises:
            ModelFileError: The vocabulary lacks it.
        """
        i = self.find(text)
        if i is None:
            raise ModelFileError(
                f"[tokenizer] expected the token '{text}'; found none in {len(self.tokens)} "
                "tokens; the tokenizer files belong to another model"
            )
        return i


def read_vocabulary(files: CheckpointFiles, vocab_size: int) -> Vocabulary:
    """Reads the tokenizer of a checkpoint.

    Args:
        files: The checkpoint.
        vocab_size: Rows of the token embedding; the vocabulary is padded to it.

    Raises:
        ModelFileError: No tokenizer, one of an unknown kind, or more tokens than rows.
    """
    settings = files.json("tokenizer_config.json") or {}
    if files.has("tokenizer.model"):
        vocabulary = _from_sentencepiece(files)
    elif files.has("vocab.json") and files.has("merges.txt"):
        vocabulary = _from_vocab_and_merges(files, settings)
    elif files.has("tokenizer.json"):
        vocabulary = _from_tokenizer_json(files)
    else:
        raise ModelFileError(
            f"[{files.name}] expected tokenizer.model, vocab.json with merges.txt, or "
            "tokenizer.json; found none; give a complete checkpoint folder"
        )
    _add_tokens(vocabulary, _added_tokens(files, settings))
    _read_settings(vocabulary, settings)
    if len(vocabulary.tokens) > vocab_size:
        raise ModelFileError(
            f"[tokenizer] expected at most {vocab_size} tokens, one for each row of the "
            f"embedding; found {len(vocabulary.tokens)}; the tokenizer belongs to another model"
        )
    _pad(vocabulary, vocab_size)
    return vocabulary


def _from_sentencepiece(files: CheckpointFiles) -> Vocabulary:
    model = read_sentencepiece(files.path("tokenizer.model"))
    return Vocabulary(
        model="llama",
        pre="default",
        tokens=[
            _NUL_PIECE if p.text == b"\0" else p.text.decode("utf-8", "replace")
            for p in model.pieces
        ],
        types=[p.type for p in model.pieces],
        scores=[p.score for p in model.pieces],
        bos_id=model.bos_id if model.bos_id >= 0 else None,
        eos_id=model.eos_id if model.eos_id >= 0 else None,
        unk_id=model.unk_id if model.unk_id >= 0 else None,
        pad_id=model.pad_id if model.pad_id >= 0 else None,
        add_bos=True,  # what the tokenizer classes of these families do when nothing is said
        add_space_prefix=model.add_dummy_prefix,
        remove_extra_whitespaces=model.remove_extra_whitespaces,
        precompiled_charsmap=model.precompiled_charsmap,
    )


def _from_vocab_and_merges(files: CheckpointFiles, settings: Mapping[str, Any]) -> Vocabulary:
    kind = settings.get("tokenizer_class")
    if kind not in _PRE_TOKENIZER_CLASSES:
        raise ModelFileError(
            f"[tokenizer_config.json] expected tokenizer_class to be one of "
            f"{', '.join(_PRE_TOKENIZER_CLASSES)}; found {kind!r}; this tokenizer is not known"
        )
    lines = files.path("merges.txt").read_text("utf-8").split("\n")
    return Vocabulary(
        model="gpt2",
        pre=_PRE_TOKENIZER_CLASSES[kind],
        merges=[line for line in lines if line and not line.startswith("#version")],
        **_by_id(files.require_json("vocab.json"), "vocab.json"),
    )


def _from_tokenizer_json(files: CheckpointFiles) -> Vocabulary:
    data = files.require_json("tokenizer.json")
    model = data.get("model") or {}
    if model.get("type") != "BPE":
        raise ModelFileError(
            f"[tokenizer.json] expected a BPE model; found {model.get('type')!r}; "
            "this tokenizer is not known"
        )
    merges = [m if isinstance(m, str) else " ".join(m) for m in model.get("merges") or []]
    arrays = _by_id(model.get("vocab") or {}, "tokenizer.json")
    if model.get("byte_fallback"):
        return _sentencepiece_from_json(data, arrays, merges)
    patterns = [
        part.get("pattern", {}).get("Regex")
        for part in _parts(data.get("pre_tokenizer"), "pretokenizers")
        if part.get("type") == "Split"
    ]
    if len(patterns) != 1 or patterns[0] not in _PRE_TOKENIZERS:
        raise ModelFileError(
            f"[tokenizer.json] expected the pre-tokeniser of "
            f"{', '.join(_PRE_TOKENIZERS.values())}; found the patterns {patterns}; "
            "this tokenizer is not known"
        )
    return Vocabulary(model="gpt2", pre=_PRE_TOKENIZERS[patterns[0]], merges=merges, **arrays)


def _sentencepiece_from_json(
    data: Mapping[str, Any], arrays: Mapping[str, Any], merges: list[str]
) -> Vocabulary:
    """SentencePiece BPE in tokenizer.json: scores are the order of its merges, as published."""
    scores: dict[str, float] = {}
    for rank, merge in enumerate(merges):
        left, _, right = merge.partition(" ")
        scores.setdefault(left + right, float(-rank))
    tokens: list[str] = arrays["tokens"]
    types = [BYTE if _is_byte_piece(t) else NORMAL for t in tokens]
    unknown = (data.get("model") or {}).get("unk_token")
    if unknown in tokens:
        types[tokens.index(unknown)] = UNKNOWN
    parts = _parts(data.get("normalizer"), "normalizers")
    metaspace = _parts(data.get("pre_tokenizer"), "pretokenizers")
    prefix = any(p.get("type") == "Prepend" for p in parts) or any(
        p.get("type") == "Metaspace" and p.get("prepend_scheme", "always") != "never"
        for p in metaspace
    )
    return Vocabulary(
        model="llama",
        pre="default",
        tokens=tokens,
        types=types,
        scores=[scores.get(t, float(-len(merges))) for t in tokens],
        unk_id=tokens.index(unknown) if unknown in tokens else None,
        add_bos=True,
        add_space_prefix=prefix,
    )


def _parts(node: Any, key: str) -> list[Mapping[str, Any]]:
    if not isinstance(node, Mapping):
        return []
    return list(node[key]) if node.get("type") == "Sequence" else [node]


def _is_byte_piece(token: str) -> bool:
    return len(token) == 6 and token.startswith("<0x") and token.endswith(">")


def _by_id(vocab: Mapping[str, int], where: str) -> dict[str, Any]:
    """Tokens and types in the order of ids; an id that no token has is padding."""
    size = max(vocab.values(), default=-1) + 1
    if not 0 < size <= 4 * len(vocab) + 1024 or min(vocab.values()) < 0:
        raise ModelFileError(
            f"[{where}] expected token ids from 0 on; found {len(vocab)} tokens with ids up to "
            f"{size - 1}; download the file again"
        )
    tokens = [f"[PAD{i}]" for i in range(size)]
    types = [UNUSED] * size
    for token, i in vocab.items():
        tokens[i], types[i] = token, NORMAL
    return {"tokens": tokens, "types": types}


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


def _add_tokens(vocabulary: Vocabulary, added: Mapping[int, tuple[str, bool]]) -> None:
    _pad(vocabulary, max(added, default=-1) + 1)
    for i, (text, special) in added.items():
        # A token spelled like a control token is one, even where the checkpoint forgot to say so.
        control = special or (text.startswith("<|") and text.endswith("|>"))
        if vocabulary.types[i] == UNKNOWN:
            continue
        if vocabulary.scores and vocabulary.types[i] == UNUSED:
            vocabulary.scores[i] = _ADDED_SCORE
        vocabulary.tokens[i] = text
        vocabulary.types[i] = CONTROL if control else USER_DEFINED


def _pad(vocabulary: Vocabulary, size: int) -> None:
    for i in range(len(vocabulary.tokens), size):
        vocabulary.tokens.append(f"[PAD{i}]")
        vocabulary.types.append(UNUSED)
        if vocabulary.model == "llama":
            vocabulary.scores.append(_ADDED_SCORE)


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
