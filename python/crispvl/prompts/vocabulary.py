"""Which tokens of a vocabulary are more than text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crispvl.model_config import ModelConfig

_UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED = 2, 3, 4, 5  # values of tokenizer.ggml.token_type

_HEADER_OPENS, _HEADER_END = ("<|start|>", "<|channel|>"), "<|message|>"

THOUGHT_START, THOUGHT_END = "<think>", "</think>"
"""Around what a model writes for itself."""

_THOUGHT = (THOUGHT_START, THOUGHT_END)

_COORDINATE = re.compile(r"<COORD_(\d{1,4})>")  # Qianfan-OCR's

_GAPS = {ord(mark): " " for mark in "ĠĊĉč▁"}
"""How byte-level and SentencePiece vocabularies spell space, line break, tab and return."""


class Vocabulary:
    """The special tokens of a model.

    Args:
        metadata: The GGUF header, which holds each token's text and type.
        config: The model's config, which names the image tokens and those that end an answer.

    Attributes:
        added: Ids of the tokens that the tokenizer matches as a whole, by their text.
        control_ids: Ids of the tokens that are no text: roles, image marks, ends of answers, and
            the padding of the vocabulary up to the embedding's rows.
        control: The texts of those, which a caller's text must not be able to write.
        stop_ids: Ids of the tokens that end an answer.
        named_ids: Ids of the tokens that chat templates name, ``bos_token`` and the like.
        image_id: The placeholder for image tokens; -1 for none.
        thought_ids: The tokens around what a model writes for itself; None for none.
        coordinates: Of the tokens that are coordinates, their numbers as text.
        header_ids: Tokens that open a message's header, and the one that ends it; what stands
            between is no text. Harmony, gpt-oss's format, names role and channel there.
    """

    def __init__(self, metadata: Mapping[str, Any], config: ModelConfig) -> None:
        pieces: list[str] = metadata.get("tokenizer.ggml.tokens", [])
        kinds: list[int] = metadata.get("tokenizer.ggml.token_type", [1] * len(pieces))
        marks, ends = list[int](), [config.tokenizer.eos_id]
        if config.is_whole:
            image = config.image
            marks += [image.start_token_id, image.end_token_id, image.context_token_id]
            ends += config.chat.stop_token_ids
        textless = (i for i, kind in enumerate(kinds) if kind in (_UNKNOWN, _CONTROL, _UNUSED))
        padding = range(len(pieces), config.n_vocab)

        self.stop_ids = frozenset(ends) - {-1}
        self.control_ids = frozenset([*textless, *padding, *marks, *self.stop_ids]) - {-1}
        self.added: dict[str, int] = {
            piece: i
            for i, (piece, kind) in enumerate(zip(pieces, kinds, strict=True))
            if piece and kind != _UNUSED and (kind == _USER_DEFINED or i in self.control_ids)
        }
        self.control = frozenset(p for p, i in self.added.items() if i in self.control_ids)
        self.named_ids: dict[str, int] = {
            "bos_token": config.tokenizer.bos_id,
            "eos_token": config.tokenizer.eos_id,
            "unk_token": _named_id(metadata, "unknown"),
            "pad_token": _named_id(metadata, "padding"),
        }
        self.image_id = config.image.context_token_id if config.is_whole else -1
        thought_ids = tuple(self.added[p] for p in _THOUGHT if p in self.added)
        self.thought_ids: tuple[int, int] | None = None
        if len(thought_ids) == len(_THOUGHT):
            self.thought_ids = thought_ids[0], thought_ids[1]
        numbers = ((i, _COORDINATE.fullmatch(piece)) for piece, i in self.added.items())
        self.coordinates = {i: str(int(match[1])) for i, match in numbers if match is not None}
        opens = [self.added[p] for p in _HEADER_OPENS if p in self.control]
        self.header_ids: tuple[frozenset[int], int] | None = None
        if len(opens) == len(_HEADER_OPENS) and _HEADER_END in self.control:
            self.header_ids = frozenset(opens), self.added[_HEADER_END]
        self._pieces = pieces

    def is_filler(self, token_id: int) -> bool:
        """Returns whether a token is neither special nor has letters or digits: dots, bars, gaps.

        Byte-level vocabularies spell bytes as letters: those of spaces and line breaks are known
        here, and every part of a character that takes several bytes counts as a letter.
        """
        if token_id in self.control_ids or token_id >= len(self._pieces):
            return False
        return not any(char.isalnum() for char in self._pieces[token_id].translate(_GAPS))


def _named_id(metadata: Mapping[str, Any], role: str) -> int:
    token_id = metadata.get(f"tokenizer.ggml.{role}_token_id")
    return token_id if isinstance(token_id, int) else -1
