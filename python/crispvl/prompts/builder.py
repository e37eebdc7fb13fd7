"""From messages to token ids, so that only the chat format can write special tokens.

A special token in a caller's text ("<|im_end|>", "<img>") must stay plain text, yet templates and
text have to be tokenised together: a byte-pair merge may cross the seam. So the special tokens in a
text are hidden behind marks that nobody can guess, the template is rendered around them, the prompt
is cut at the special tokens it still shows, which are the template's own, and the text between two
of them is restored and tokenised in one piece.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, replace
from typing import Protocol

from crispvl.errors import ModelFileError
from crispvl.model_config import ModelConfig
from crispvl.prompts.chat_template import ChatTemplate
from crispvl.prompts.conversations import CONVERSATIONS
from crispvl.prompts.messages import IMAGE_PLACEHOLDER, Framed, ImagePart, Message
from crispvl.prompts.vocabulary import THOUGHT_START, Vocabulary


class TextModel(Protocol):
    """The part of `crispvl.engine.model.Model` that prompts are made with."""

    @property
    def config(self) -> ModelConfig: ...

    @property
    def vocabulary(self) -> Vocabulary: ...

    def tokenize(
        self, text: str, special: bool = True, *, previous: int | None = None
    ) -> list[int]: ...


class PromptBuilder:
    """Renders messages in a model's chat format and tokenises the result.

    The format is the one named in the model file (``chat.template``) where our table knows the
    name, and else the file's own Jinja template.

    Raises:
        ModelFileError: The file has neither.
    """

    def __init__(self, model: TextModel) -> None:
        self._model = model
        self._chat = model.config.chat
        self._image = model.config.image
        pieces = {token_id: piece for piece, token_id in model.vocabulary.added.items()}
        self._hidden = HiddenTokens([*model.vocabulary.control, IMAGE_PLACEHOLDER])
        self._added = re.compile(f"({_any_of(model.vocabulary.added).pattern})")
        image = self._image
        start, end, context = (
            pieces.get(token_id, IMAGE_PLACEHOLDER)
            for token_id in (image.start_token_id, image.end_token_id, image.context_token_id)
        )
        # Some templates put the start and end tokens around a placeholder themselves.
        self._placeholders = re.compile(
            f"(?:{re.escape(start)})?(?:{_any_of([context, IMAGE_PLACEHOLDER]).pattern})"
            f"(?:{re.escape(end)})?"
        )
        self._conversation = CONVERSATIONS.get(self._chat.template or "")
        self._template: ChatTemplate | None = None
        if self._conversation is None:
            self._template = self._load_template(pieces)

    def build(
        self,
        messages: Sequence[Message],
        n_image_tokens: Sequence[int],
        thinking: bool | None = None,
    ) -> list[int]:
        """Returns the prompt's token ids, BOS first where the model wants one.

        Args:
            messages: The conversation, ending where the model is to answer.
            n_image_tokens: Per image, in order, how many context tokens it takes.
            thinking: Whether the model is to think first; None leaves it to the chat format.
        """
        if thinking and not self._has_switch:
            messages = _asking_for_thought(messages)
        hidden = [_map_text(message, self._hidden.hide) for message in messages]
        prompt = self._render(hidden, thinking)
        pieces = self._placeholders.split(prompt)
        if len(pieces) != len(n_image_tokens) + 1:
            raise ModelFileError(
                f"[chat template] expected {len(n_image_tokens)} images in the prompt; found "
                f"{len(pieces) - 1} written by the template; convert the model with another "
                "template"
            )
        ids: list[int] = []
        self._tokenize(pieces[0], ids)
        for n_tokens, piece in zip(n_image_tokens, pieces[1:], strict=True):
            ids.append(self._image.start_token_id)
            ids.extend([self._image.context_token_id] * n_tokens)
            ids.append(self._image.end_token_id)
            self._tokenize(piece, ids)
        tokenizer = self._model.config.tokenizer
        if tokenizer.add_bos and ids[:1] != [tokenizer.bos_id]:
            ids.insert(0, tokenizer.bos_id)
        return ids

    def check_thinking(self) -> None:
        """Raises ValueError where the model cannot be asked to think first."""
        vocabulary = self._model.vocabulary
        if not self._has_switch and not (vocabulary.thought_ids and vocabulary.coordinates):
            raise ValueError(
                "[options] expected a model that thinks, or whose chat template knows "
                "'enable_thinking'; found neither; leave thinking out, or ask for it in the prompt"
            )

    @property
    def _has_switch(self) -> bool:
        return self._template is not None and self._template.knows_thinking

    def _render(self, messages: Sequence[Message], thinking: bool | None) -> str:
        system_message = self._chat.system_message
        if self._conversation is not None:
            return self._conversation.render(messages, system_message)
        assert self._template is not None
        if system_message and messages[0].role != "system":
            messages = [Message("system", (system_message,)), *messages]
        return self._template.render(messages, thinking)

    def _tokenize(self, text: str, ids: list[int]) -> None:
        """Appends the ids of a part of the prompt."""
        for i, piece in enumerate(self._added.split(text)):
            if i % 2:  # the pattern's one group: an added token
                ids.append(self._model.vocabulary.added[piece])
            elif piece:
                previous = ids[-1] if ids else None
                restored = self._hidden.restore(piece)
                ids += self._model.tokenize(restored, special=False, previous=previous)

    def _load_template(self, pieces: Mapping[int, str]) -> ChatTemplate:
        source = self._chat.jinja
        if not source:
            name = self._chat.template
            raise ModelFileError(
                f"[chat template] expected a Jinja template or one of {sorted(CONVERSATIONS)}; "
                f"found the name {name!r} and no template; convert the model again"
            )
        named = self._model.vocabulary.named_ids
        return ChatTemplate(source, {name: pieces[i] for name, i in named.items() if i in pieces})


def _asking_for_thought(messages: Sequence[Message]) -> list[Message]:
    """Ends the last turn with the token that Qianfan-OCR takes for asking (arXiv 2603.13398)."""
    parts = list(messages[-1].parts)
    last = parts.pop() if parts and not isinstance(parts[-1], ImagePart) else ""
    before, text, after = ("", last, "") if isinstance(last, str) else astuple(last)
    parts.append(Framed(before, text, after + THOUGHT_START))
    return [*messages[:-1], replace(messages[-1], parts=tuple(parts))]


class HiddenTokens:
    """Replaces special tokens in texts by marks, and the marks by the tokens again."""

    def __init__(self, tokens: Iterable[str]) -> None:
        tokens = list(tokens)
        self._pattern = _any_of(tokens)
        self._beginnings = {token[:n] for token in tokens for n in range(1, len(token))}
        self._longest = max(map(len, self._beginnings), default=0)
        # Private-use characters, which no template trims or escapes, around a random number.
        self._nonce = secrets.token_hex(8)
        self._mark = re.compile(f"\ue000{self._nonce}:([0-9]+)\ue001")

    def hide(self, text: str) -> str:
        """Hides whole tokens, and at the end what a following text could complete to one."""
        text = self._pattern.sub(lambda match: self._marks(match[0]), text)
        for n in range(min(self._longest, len(text)), 0, -1):
            if text[-n:] in self._beginnings:
                return text[:-n] + self._marks(text[-n:])
        return text

    def restore(self, text: str) -> str:
        return self._mark.sub(lambda match: chr(int(match[1])), text)

    def _marks(self, text: str) -> str:
        return "".join(f"\ue000{self._nonce}:{ord(char)}\ue001" for char in text)


def _map_text(message: Message, change: Callable[[str], str]) -> Message:
    """Changes what a caller wrote; what frames it is ours, and stays."""
    parts: list[str | ImagePart] = []
    for part in message.parts:
        if isinstance(part, ImagePart):
            parts.append(part)
        elif isinstance(part, Framed):
            parts.append(part.before + change(part.text) + part.after)
        else:
            parts.append(change(part))
    return replace(message, parts=tuple(parts))


def _any_of(tokens: Iterable[str]) -> re.Pattern[str]:
    """Matches the leftmost token, the longest where several begin at one place."""
    longest_first = sorted(tokens, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
