"""The three kinds of tokenizer files, each read into a vocabulary without its added tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crispvl.convert.files import CheckpointFiles
from crispvl.convert.sentencepiece import read_sentencepiece
from crispvl.convert.values import mapping, sequence, text, whole_number
from crispvl.convert.vocabulary import BYTE, NORMAL, UNKNOWN, UNUSED, Vocabulary
from crispvl.errors import ModelFileError

_MERGES = "tokenizer.json: merges"

# What llama.cpp puts in place of InternLM2's NUL piece, which no C string can hold.
_NUL_PIECE = "🐉"

# Pre-tokenisers of byte-level BPE that the engine has: llama.cpp's name by the split pattern.
_PRE_TOKENIZERS = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+": "qwen2",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+": "llama-bpe",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+": "gpt-4o",
}

# The same by the class that reads vocab.json and merges.txt, which has the pattern built in.
_PRE_TOKENIZER_CLASSES = {"Qwen2Tokenizer": "qwen2", "Qwen2TokenizerFast": "qwen2"}


def from_sentencepiece(files: CheckpointFiles) -> Vocabulary:
    """``tokenizer.model``."""
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


def knows_class(settings: Mapping[str, Any], files: CheckpointFiles) -> bool:
    """Whether vocab.json and merges.txt say enough, or are all there is."""
    known = settings.get("tokenizer_class") in _PRE_TOKENIZER_CLASSES
    return known or not files.has("tokenizer.json")


def from_vocab_and_merges(files: CheckpointFiles, settings: Mapping[str, Any]) -> Vocabulary:
    """``vocab.json`` and ``merges.txt``; the class in tokenizer_config.json splits the text."""
    kind = settings.get("tokenizer_class")
    if kind not in _PRE_TOKENIZER_CLASSES:
        raise ModelFileError(
            f"[tokenizer_config.json] expected tokenizer_class to be one of "
            f"{', '.join(_PRE_TOKENIZER_CLASSES)}; found {kind!r}; this tokenizer is not known"
        )
    lines = (files.text("merges.txt") or "").split("\n")
    return Vocabulary(
        model="gpt2",
        pre=_PRE_TOKENIZER_CLASSES[kind],
        merges=[line for line in lines if line and not line.startswith("#version")],
        **_by_id(files.require_json("vocab.json"), "vocab.json"),
    )


def from_tokenizer_json(files: CheckpointFiles) -> Vocabulary:
    """``tokenizer.json``, byte-level or with byte fallback."""
    data = files.require_json("tokenizer.json")
    model = mapping(data.get("model"), "tokenizer.json: model")
    if model.get("type") != "BPE":
        raise ModelFileError(
            f"[tokenizer.json] expected a BPE model; found {model.get('type')!r}; "
            "this tokenizer is not known"
        )
    merges = [_merge(m) for m in sequence(model.get("merges"), _MERGES)]
    arrays = _by_id(mapping(model.get("vocab"), "tokenizer.json: vocab"), "tokenizer.json: vocab")
    if model.get("byte_fallback"):
        return _sentencepiece_from_json(data, arrays, merges)
    patterns = [
        mapping(part.get("pattern"), "tokenizer.json: pattern").get("Regex")
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
        prefix_at_start=any(p.get("prepend_scheme") == "first" for p in metaspace),
    )


def _parts(node: Any, key: str) -> list[Mapping[str, Any]]:
    if not isinstance(node, Mapping):
        return []
    parts = sequence(node.get(key), f"tokenizer.json: {key}")
    return [mapping(p, key) for p in parts] if node.get("type") == "Sequence" else [node]


def _merge(value: Any) -> str:
    """A pair of tokens; older files write it as text."""
    if isinstance(value, str):
        return value
    return " ".join(text(part, _MERGES) for part in sequence(value, _MERGES))


def _is_byte_piece(token: str) -> bool:
    return len(token) == 6 and token.startswith("<0x") and token.endswith(">")


def _by_id(vocab: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Tokens and types in the order of ids; an id that no token has is padding."""
    ids = [whole_number(i, where) for i in vocab.values()]
    size = max(ids, default=-1) + 1
    if not 0 < size <= 4 * len(vocab) + 1024 or min(ids) < 0:
        raise ModelFileError(
            f"[{where}] expected token ids from 0 on; found {len(vocab)} tokens with ids up to "
            f"{size - 1}; download the file again"
        )
    tokens = [f"[PAD{i}]" for i in range(size)]
    types = [UNUSED] * size
    for token, i in zip(vocab, ids, strict=True):
        tokens[i], types[i] = token, NORMAL
    return {"tokens": tokens, "types": types}
