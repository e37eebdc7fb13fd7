"""Reads a SentencePiece ``tokenizer.model``: a protocol-buffer message that we need little of.

Field numbers are those of SentencePiece's ``sentencepiece_model.proto``. Reading them here spares
users the ``protobuf`` package.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crispvl.errors import ModelFileError

_BPE = 2  # TrainerSpec.ModelType


@dataclass(frozen=True)
class Piece:
    """One entry; its type is a GGUF token type, whose numbers are SentencePiece's."""

    text: bytes
    score: float
    type: int


@dataclass
class SentencePieceModel:
    """What a tokenizer needs of the message; values are the message's own defaults."""

    pieces: list[Piece] = field(default_factory=list)
    model_type: int = 1
    unk_id: int = 0
    bos_id: int = 1
    eos_id: int = 2
    pad_id: int = -1
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True
    precompiled_charsmap: bytes = b""


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Reads the file.

    Raises:
        ModelFileError: Not a SentencePiece model, or one that is not BPE.
    """
    model = SentencePieceModel()
    try:
        for number, value in _fields(path.read_bytes()):
            if number == 1 and isinstance(value, bytes):
                model.pieces.append(_piece(value))
            elif number == 2 and isinstance(value, bytes):
                _trainer(value, model)
            elif number == 3 and isinstance(value, bytes):
                _normalizer(value, model)
    except (IndexError, struct.error, ValueError) as error:
        raise _wrong(path, "a SentencePiece model", f"a damaged message ({error})") from None
    if not model.pieces:
        raise _wrong(path, "a SentencePiece model", "no pieces")
    if model.model_type != _BPE:
        raise _wrong(path, "a BPE model", f"model type {model.model_type}")
    return model


def _piece(data: bytes) -> Piece:
    text, score, kind = b"", 0.0, 1
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            text = value
        elif number == 2 and isinstance(value, bytes):
            (score,) = struct.unpack("<f", value)
        elif number == 3 and isinstance(value, int):
            kind = value
    return Piece(text, score, kind)


def _trainer(data: bytes, model: SentencePieceModel) -> None:
    names = {3: "model_type", 40: "unk_id", 41: "bos_id", 42: "eos_id", 43: "pad_id"}
    for number, value in _fields(data):
        if number in names and isinstance(value, int):
            # int32 travels as a 64-bit two's complement
            setattr(model, names[number], value - (1 << 64) if value >> 63 else value)


def _normalizer(data: bytes, model: SentencePieceModel) -> None:
    names = {3: "add_dummy_prefix", 4: "remove_extra_whitespaces", 5: "escape_whitespaces"}
    for number, value in _fields(data):
        if number == 2 and isinstance(value, bytes):
            model.precompiled_charsmap = value
        elif number in names:
            setattr(model, names[number], bool(value))


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field number and value: an int for varints, raw bytes for everything else."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(data):
            raise ValueError("a field ends after the message")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")


def _wrong(path: Path, expected: str, found: str) -> ModelFileError:
    return ModelFileError(f"[{path.name}] expected {expected}; found {found}; download it again")
