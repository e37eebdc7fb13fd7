"""Tokenizers of a few hundred tokens, learnt from a sentence when the test runs."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
)

_CORPUS = "the text of the page that the reader reads is the total of the receipt in euro " * 2

_N_MERGES = 24

_QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def write_tokenizer(folder: Path, kind: str) -> dict[str, int]:
    """Writes the files of a tokenizer; returns the ids of its special tokens."""
    if kind.startswith("spm"):
        pieces = write_sentencepiece(folder / "tokenizer.model", add_prefix=kind == "spm-prefix")
        special = _special_ids(len(pieces))
        _write_json(folder / "added_tokens.json", special)
        _write_settings(folder, "InternLM2Tokenizer", special, bos="<s>", add_bos=True)
        return special
    merges = [] if kind == "bytes" else learn_merges(_byte_words(), _N_MERGES)
    vocab = {token: i for i, token in enumerate([*byte_alphabet(), *(a + b for a, b in merges)])}
    special = _special_ids(len(vocab))
    _write_json(folder / "added_tokens.json", special)
    _write_settings(folder, "Qwen2Tokenizer", special, bos=None, add_bos=None)
    if kind == "bpe-json":
        _write_json(folder / "tokenizer.json", _tokenizer_json(vocab, merges, special))
    else:
        _write_json(folder / "vocab.json", vocab)
        lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
        (folder / "merges.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return special


def byte_alphabet() -> list[str]:
    """GPT-2's printable stand-in for each byte, in the order of published vocabularies."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in printable]
    characters = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(hidden)}
    return [characters[b] for b in [*printable, *hidden]]


def learn_merges(words: Sequence[Sequence[str]], n: int) -> list[tuple[str, str]]:
    """Byte-pair encoding: the most frequent pair becomes one symbol, again and again."""
    words = [list(word) for word in words]
    merges: list[tuple[str, str]] = []
    for _ in range(n):
        pairs = Counter(pair for word in words for pair in pairwise(word))
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        words = [_merge(word, best) for word in words]
    return merges


def _merge(word: Sequence[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for symbol in word:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def _byte_words() -> list[list[str]]:
    return [["Ġ", *word] for word in _CORPUS.split()]


def write_sentencepiece(
    path: Path, *, add_prefix: bool = False, extra: Sequence[bytes] = ()
) -> list[str]:
    """Writes a SentencePiece BPE model with byte fallback; returns its pieces."""
    words = [["▁", *word] for word in _CORPUS.split()]
    merges = ["".join(pair) for pair in learn_merges(words, _N_MERGES)]
    letters = sorted({c for word in words for c in word})
    pieces: list[tuple[bytes, float, int]] = [(b"<unk>", 0.0, 2), (b"<s>", 0.0, 3)]
    pieces += [(b"</s>", 0.0, 3)]
    pieces += [(f"<0x{b:02X}>".encode(), 0.0, 6) for b in range(256)]
    ranked = [*(m.encode() for m in merges), *(c.encode() for c in letters), *extra]
    pieces += [(piece, -float(rank), 1) for rank, piece in enumerate(ranked)]
    message = b"".join(
        _field(1, _field(1, text) + _field(2, struct.pack("<f", score)) + _field(3, kind))
        for text, score, kind in pieces
    )
    message += _field(2, _field(3, 2) + _field(35, 1) + _field(43, -1))  # BPE, byte fallback
    normalizer = _field(1, b"identity") + _field(3, int(add_prefix)) + _field(4, 0)
    message += _field(3, normalizer)
    path.write_bytes(message)
    return [text.decode() for text, _, _ in pieces]


def _field(number: int, value: int | bytes) -> bytes:
    """One field of a protocol-buffer message; four bytes that are no message are a float."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value % (1 << 64))
    if number == 2 and len(value) == 4:
        return _varint(number << 3 | 5) + value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _special_ids(first: int) -> dict[str, int]:
    return {token: first + i for i, token in enumerate(SPECIAL_TOKENS)}


def _tokenizer_json(
    vocab: dict[str, int], merges: Sequence[tuple[str, str]], special: dict[str, int]
) -> dict[str, Any]:
    split = {"type": "Split", "pattern": {"Regex": _QWEN_PATTERN}, "behavior": "Isolated"}
    return {
        "added_tokens": [{"id": i, "content": t, "special": True} for t, i in special.items()],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [split, {"type": "ByteLevel", "add_prefix_space": False}],
        },
        "model": {"type": "BPE", "vocab": vocab, "merges": [list(pair) for pair in merges]},
    }


def _write_settings(
    folder: Path, kind: str, special: dict[str, int], *, bos: str | None, add_bos: bool | None
) -> None:
    settings: dict[str, Any] = {
        "tokenizer_class": kind,
        "bos_token": bos,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "additional_special_tokens": list(special),
        "added_tokens_decoder": {
            str(i): {"content": token, "special": True} for token, i in special.items()
        },
    }
    if add_bos is not None:
        settings["add_bos_token"] = add_bos
    _write_json(folder / "tokenizer_config.json", settings)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
