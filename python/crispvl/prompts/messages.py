"""Chat messages: what callers pass, checked, and their form as the reference's plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crispvl.inputs.images import ImageLike
from crispvl.inputs.video import DEFAULT_FRAMES, video_frames

ROLES = ("system", "user", "assistant", "tool")

IMAGE_PLACEHOLDER = "<image>"
"""Stands for one image in a rendered prompt, as in the reference's conversations."""


@dataclass(frozen=True)
class ImagePart:
    """One image of a message.

    ``label`` comes before it instead of its number, and ``max_tiles`` overrules the options':
    a frame of a video has both.
    """

    image: ImageLike
    label: str | None = None
    max_tiles: int | None = None


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
    def image_parts(self) -> list[ImagePart]:
        return [part for part in self.parts if isinstance(part, ImagePart)]


def parse_messages(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Checks a list of ``{"role": …, "content": …}`` and returns it typed.

    Content is a string, or a list of strings, ``{"type": "text", "text": …}``,
    ``{"type": "image", "image": …}``, where an image is anything that
    `crispvl.inputs.images.open_image` takes, and ``{"type": "video", "video": …, "n_frames": 8}``,
    where a video is a file or a list of images.

    Raises:
        TypeError: Something is of another type.
        ValueError: The list is empty, or a role or part type is unknown.
    """
    if isinstance(messages, (str, bytes, Mapping)):
        raise TypeError(
            f"[messages] expected a list of messages; found {type(messages).__name__}; pass "
            '[{"role": "user", "content": …}]'
        )
    parsed = [_parse_message(f"messages[{i}]", message) for i, message in enumerate(messages)]
    if not parsed:
        raise ValueError("[messages] expected at least one message; found none; add the user's")
    return parsed


def _parse_message(where: str, message: Any) -> Message:
    if isinstance(message, Message):
        return message
    if not isinstance(message, Mapping) or not {"role", "content"} <= message.keys():
        raise TypeError(
            f'[{where}] expected a dict with "role" and "content"; found {_short(message)}; add '
            "what is missing"
        )
    role = message["role"]
    if role not in ROLES:
        raise ValueError(f"[{where}.role] expected one of {ROLES}; found {role!r}; change it")
    content = message["content"]
    if isinstance(content, str):
        return Message(role, (content,))
    if not isinstance(content, Sequence) or isinstance(content, (bytes, bytearray)):
        raise TypeError(
            f"[{where}.content] expected a string or a list of parts; found {_short(content)}; "
            "change it"
        )
    parts = [
        parsed
        for i, part in enumerate(content)
        for parsed in _parse_part(f"{where}.content[{i}]", part)
    ]
    return Message(role, tuple(parts))


def _parse_part(where: str, part: Any) -> Sequence[str | Framed | ImagePart]:
    """Returns one part, or of a video one per frame."""
    if isinstance(part, (str, Framed, ImagePart)):
        return [part]
    if isinstance(part, Mapping):
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            return [str(part["text"])]
        if part.get("type") == "image" and part.get("image") is not None:
            return [ImagePart(part["image"])]
        if part.get("type") == "video" and part.get("video") is not None:
            frames = video_frames(part["video"], part.get("n_frames", DEFAULT_FRAMES))
            return [ImagePart(frame, f"Frame{i}", 1) for i, frame in enumerate(frames, 1)]
    raise ValueError(
        f'[{where}] expected {{"type": "text", "text": str}}, {{"type": "image", "image": …}} or '
        f'{{"type": "video", "video": …}}; found {_short(part)}; change it'
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
    numbered through all turns, as the model cards' multi-image examples write them. Frames of a
    video are ``Frame1: <image>``, ….
    """
    parts = [part for message in messages for part in message.image_parts]
    n_images = sum(part.label is None for part in parts)
    i_image = 0
    for message in messages:
        text = ""
        for i, part in enumerate(message.parts):
            if isinstance(part, ImagePart):
                i_image += part.label is None
                label = part.label or (f"Image-{i_image}" if n_images > 1 else None)
                text += f"{label}: {IMAGE_PLACEHOLDER}\n" if label else f"{IMAGE_PLACEHOLDER}\n"
            else:
                text += plain(part) + ("\n" if i + 1 < len(message.parts) else "")
        yield message.role, text
