"""A request's messages as the engine takes them: media loaded, documents decoded to pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from crispvl.engine.model import Model
from crispvl.model_config import ChatConfig
from crispvl.options import ReadOptions, Task
from crispvl.prompts.messages import ImagePart
from crispvl.prompts.tasks import question
from crispvl.reading.pages import tile_limits
from crispvl.server.decoding import Aside, DecoderPool
from crispvl.server.errors import ApiError, too_long
from crispvl.server.media import Media
from crispvl.server.wire import chat as wire
from crispvl.server.wire.common import MAX_CHARACTERS
from crispvl.tiling import choose_grid

Turn = dict[str, Any]

_PIXELS_IN_ALL = 2
"""A conversation's pixels, in images of the largest size; all are in memory together."""


class ConversationBuilder:
    """Makes conversations of what clients send.

    Args:
        media: Loads what addresses name.
        decoders: Decode it.
        aside: See `crispvl.server.decoding.Aside`.
    """

    def __init__(self, media: Media, decoders: DecoderPool, aside: Aside) -> None:
        self._media = media
        self._decoders = decoders
        self._aside = aside

    async def build(self, messages: Sequence[wire.ChatMessage], options: ReadOptions) -> list[Turn]:
        """Returns turns for `crispvl.CrispOCR.chat`, a document being an image per page.

        Raises:
            ApiError: An address is refused, or what is there cannot be decoded.
        """
        left = _Room(self._decoders.max_pages, _PIXELS_IN_ALL * self._decoders.max_pixels)
        _check_length(messages)
        turns: list[Turn] = []
        for i, message in enumerate(messages):
            content: list[Any] = []
            if isinstance(message.content, str):
                content.append(message.content)
            for j, part in enumerate(message.content or [] if not content else []):
                assert not isinstance(part, str)
                if isinstance(part, wire.TextPart):
                    content.append(part.text)
                    continue
                param = f"messages.{i}.content.{j}"
                content += await self._images(part, param, options, left)
            role = "system" if message.role == "developer" else message.role
            turns.append({"role": role, "content": content})
        return turns

    async def _images(
        self,
        part: wire.ImagePart | wire.FilePart | wire.InputFilePart,
        param: str,
        options: ReadOptions,
        left: _Room,
    ) -> list[ImagePart]:
        address, max_tiles = _address(part)
        data = await self._media.load(address, param)
        document = await self._decoders.open(data, options, param, self._aside)
        parts = []
        for number in document.numbers:
            page = await document.page(number, self._aside)
            left.take(page, param)
            parts.append(ImagePart(page, max_tiles=max_tiles))
        return parts


def check_tiles(turns: Sequence[Turn], model: Model, options: ReadOptions) -> None:
    """Checks that pictures fit the context, before any is cut up into tiles.

    Raises:
        ApiError: They do not, or the model cannot cut them so.
    """
    config = model.config
    try:
        fewest, most = tile_limits(config, options)
    except ValueError as error:
        raise ApiError(400, str(error), "invalid_value", "max_tiles") from error
    n_tiles = 0
    for part in (part for turn in turns for part in turn["content"]):
        if isinstance(part, ImagePart) and isinstance(part.image, Image.Image):
            limits = (most, fewest) if part.max_tiles is None else (part.max_tiles, 1)
            columns, rows = choose_grid(
                *part.image.size, limits[0], config.vision.tile_px, limits[1]
            )
            n_tiles += columns * rows
    if n_tiles * config.projector.tokens_per_tile > config.decoder.context_length:
        raise ApiError(
            400,
            f"[messages] expected pictures that fit the model's context; found {n_tiles} tiles of "
            f"{config.projector.tokens_per_tile} tokens; ask about fewer, or lower max_tiles",
            "context_length_exceeded",
            "messages",
        )


def _check_length(messages: Sequence[wire.ChatMessage]) -> None:
    n_characters = 0
    for message in messages:
        parts = [message.content] if isinstance(message.content, str) else message.content or []
        texts = [part.text if isinstance(part, wire.TextPart) else part for part in parts]
        n_characters += sum(len(text) for text in texts if isinstance(text, str))
    if n_characters > MAX_CHARACTERS:
        raise too_long(n_characters, "messages")


@dataclass
class _Room:
    """How many pictures, and pixels of all together, a conversation may still have."""

    n_pages: int
    n_pixels: int

    def take(self, page: Image.Image, param: str) -> None:
        self.n_pages -= 1
        self.n_pixels -= page.width * page.height
        if self.n_pages < 0 or self.n_pixels < 0:
            raise ApiError(
                422,
                f"[{param}] expected fewer or smaller pictures in one conversation; found too "
                "many; ask about some at a time, or have a long document read by /v1/ocr",
                "too_many_pages",
                param,
            )


def _address(part: wire.ImagePart | wire.FilePart | wire.InputFilePart) -> tuple[str, int | None]:
    """Returns where a part's data is, and most tiles of each of its images."""
    if isinstance(part, wire.FilePart):
        return part.file.file_data, None
    if isinstance(part, wire.InputFilePart):
        return part.file_data, None
    if isinstance(part.image_url, str):
        address, detail = part.image_url, part.detail
    else:
        address, detail = part.image_url.url, part.image_url.detail or part.detail
    return address, 1 if detail == "low" else None


def with_question(turns: Sequence[Turn], task: Task, chat: ChatConfig) -> list[Turn]:
    """Returns a conversation in which the last turn asks for a task, if it has only pictures."""
    *before, last = turns
    if not last["content"] or not all(isinstance(part, ImagePart) for part in last["content"]):
        return list(turns)
    return [*before, {**last, "content": [*last["content"], question(task, None, chat)]}]
