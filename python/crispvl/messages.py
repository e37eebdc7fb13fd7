"""Chat messages: what callers pass, checked, and their form as the reference's plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crispvl.images import ImageLike

ROLES = ("system", "user", "assistant", "tool")

IMAGE_PLACEHOLDER = "<image>"
"""Stands for one image in a rendered prompt, as in the reference's conversations."""


@dataclass(frozen=True)
class ImagePart:
    """One image of a message."""

    image: ImageLike


@dataclass(frozen=True)
class Framed:
    """A caller's text between texts of ours, which may hold special tokens."""

    before: str
    text: str
    after: str


@dataclass(frozen=True)
class Message:
    """One turn of a conversation: a role and its text and image parts in order."""

    role: str
    parts: tuple[str | Framed | ImagePart, ...]

    @property
    def images(self) -> list[ImageLike]:
        return [part.image for part in self.parts if isinstance(part, ImagePart)]


def parse_messages(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Checks a list of ``{"role": …, "content": …}`` and returns it typed.

    Content is a string, or a list of strings, ``{"type": "text", "text": …}`` and
    ``{"type": "image", "image": …}``, where an image is anything `crispvl.images.open_image` takes.

    Raises:
        TypeError: Something is of another type.
        ValueError: The list is empty, or a role or part type is unknown.
    """
    if isinstance(messages, (str, bytes, Mapping)):
        raise TypeError(
            f"[messages] a list of messages is expected; found {type(messages).__name__}; pass "
            '[{"role": "user", "content": …}]'
        )
    parsed = [_parse_message(f"messages[{i}]", message) for i, message in enumerate(messages)]
    if not parsed:
        raise ValueError("[messages] at least one message is expected; found none; add the user's")
    return parsed


def _parse_message(where: str, message: Any) -> Message:
    if isinstance(message, Message):
        return message
    if not isinstance(message, Mapping) or not {"role", "content"} <= message.keys():
        raise TypeError(
            f'[{where}] a dict with "role" and "content" is expected; found {_short(message)}; '
            "add what is missing"
        )
    role = message["role"]
    if role not in ROLES:
        raise ValueError(f"[{where}.role] one of {ROLES} is expected; found {role!r}; change it")
    content = message["content"]
    if isinstance(content, str):
        return Message(role, (content,))
    if not isinstance(content, Sequence) or isinstance(content, (bytes, bytearray)):
        raise TypeError(
            f"[{where}.content] a string or a list of parts is expected; found {_short(content)}; "
            "change it"
        )
    parts = (_parse_part(f"{where}.content[{i}]", part) for i, part in enumerate(content))
    return Message(role, tuple(parts))


def _parse_part(where: str, part: Any) -> str | Framed | ImagePart:
    if isinstance(part, (str, Framed, ImagePart)):
        return part
    if isinstance(part, Mapping):
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            return str(part["text"])
        if part.get("type") == "image" and part.get("image") is not None:
            return ImagePart(part["image"])
    raise ValueError(
        f'[{where}] {{"type": "text", "text": str}} or {{"type": "image", "image": …}} is '
        f"expected; found {_short(part)}; change it"
    )


def plain(part: str | Framed) -> str:
    """Returns a text part as one string."""
    return part if isinstance(part, str) else part.before + part.text + part.after


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def flatten(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """Yields ``(role, text)`` per message, each image a line of its own that holds a placeholder.

    A conversation's only image is ``<image>``; several are ``Image-1: <image>``, ``Image-2: …``,
    numbered through all turns, as the model cards' multi-image examples write them.
    """
    n_images = sum(len(message.images) for message in messages)
    i_image = 0
    for message in messages:
        text = ""
        for i, part in enumerate(message.parts):
            if isinstance(part, ImagePart):
                i_image += 1
                prefix = f"Image-{i_image}: " if n_images > 1 else ""
                text += f"{prefix}{IMAGE_PLACEHOLDER}\n"
            else:
                text += plain(part) + ("\n" if i + 1 < len(message.parts) else "")
        yield message.role, text
