"""Which tokens of an answer are its text, and which a header or a thought that comes before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from crispvl.prompts.vocabulary import Vocabulary

Part: TypeAlias = Literal["text", "thought", "mark"]
"""``mark``: what is between or around the others: control tokens, headers, ``<think>``."""

_THOUGHT_CHANNEL = b"analysis"  # of Harmony, gpt-oss's format


class AnswerParts:
    """Tells an answer's parts token by token.

    A thought begins with ``<think>``, in the answer or at the end of the prompt, or with a box
    where the last turn of the prompt asks for a thought, as Qianfan-OCR's does; or it is a message
    of Harmony's ``analysis`` channel.

    Args:
        vocabulary: Of the model.
        to_bytes: Turns token ids into bytes.
        prompt_ids: What the answer follows.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        to_bytes: Callable[[list[int]], bytes],
        prompt_ids: Sequence[int] = (),
    ) -> None:
        self._vocabulary = vocabulary
        self._to_bytes = to_bytes
        self._starts_in_thought, self._may_open_by_box = self._asked(prompt_ids)
        self.reset()

    def reset(self) -> None:
        """Goes back to before the first token."""
        self._in_thought = self._starts_in_thought
        self._is_start = True
        self._header: list[int] | None = None

    def push(self, token_id: int) -> Part:
        """Returns what the next token is part of."""
        if self._is_header(token_id) or self._is_around_thought(token_id):
            return "mark"
        vocabulary = self._vocabulary
        is_control = token_id in vocabulary.control_ids
        if self._in_thought:
            # Harmony's end a message; a layout's are what it is made of.
            return "mark" if vocabulary.header_ids and is_control else "thought"
        return "mark" if is_control and token_id not in vocabulary.coordinates else "text"

    def _is_around_thought(self, token_id: int) -> bool:
        """Follows where a thought begins and ends; whether the token is no part of either side."""
        is_first = self._is_start and not self._vocabulary.is_filler(token_id)
        self._is_start = self._is_start and not is_first
        if is_first and self._may_open_by_box and token_id == self._vocabulary.added.get("<box>"):
            self._in_thought = True
        opens, closes = self._vocabulary.thought_ids or (None, None)
        if token_id not in (opens, closes):
            return False
        self._in_thought = token_id == opens
        return True

    def _is_header(self, token_id: int) -> bool:
        if self._vocabulary.header_ids is None:
            return False
        opens, end = self._vocabulary.header_ids
        if token_id in opens:
            self._header = []
        if self._header is None:
            return False
        if token_id == end:
            self._in_thought = _THOUGHT_CHANNEL in self._to_bytes(self._header)
            self._header = None
        else:
            self._header.append(token_id)
        return True

    def _asked(self, prompt_ids: Sequence[int]) -> tuple[bool, bool]:
        """Whether a prompt ends in a thought, and whether its last turn asks for one."""
        thought_ids = self._vocabulary.thought_ids
        if thought_ids is None:
            return False, False
        last = next((i for i in reversed(prompt_ids) if not self._vocabulary.is_filler(i)), -1)
        # Layouts are of the page, whose tokens come before the question.
        marks = [i for i in prompt_ids if i in thought_ids or i == self._vocabulary.image_id]
        return last == thought_ids[0], marks[-1:] == [thought_ids[0]]
