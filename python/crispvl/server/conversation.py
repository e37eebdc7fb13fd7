"""A request's messages as the engine takes them: media loaded, documents decoded to pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from crispvl.model_config import ChatConfig
from crispvl.options import ReadOptions, Task
from crispvl.prompts.messages import ImagePart
from crispvl.prompts.tasks import question
from crispvl.server.decoding import DecoderPool
from crispvl.server.errors import ApiError
from crispvl.server.media import Media
from crispvl.server.wire import chat as wire

Turn = dict[str, Any]


class ConversationBuilder:
    """Makes conversations of what clients send.

    Args:
        media: Loads what addresses name.
        decoders: Decode it.
    """

    def __init__(self, media: Media, decoders: DecoderPool) -> None:
        self._media = media
        self._decoders = decoders

    async def build(self, messages: Sequence[wire.ChatMessage], options: ReadOptions) -> list[Turn]:
        """Returns turns for `crispvl.CrispOCR.chat`, a document being an image per page.

        Raises:
            ApiError: An address is refused, or what is there cannot be decoded.
        """
        n_left = self._decoders.max_pages
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
                images = await self._images(part, param, options)
                n_left -= len(images)
                if n_left < 0:
                    raise ApiError(
                        422,
                        f"At most {self._decoders.max_pages} images and pages are expected.",
                        "too_many_pages",
                        param,
                    )
                content += images
            role = "system" if message.role == "developer" else message.role
            turns.append({"role": role, "content": content})
        return turns

    async def _images(
        self,
        part: wire.ImagePart | wire.FilePart | wire.InputFilePart,
        param: str,
        options: ReadOptions,
    ) -> list[ImagePart]:
        address, max_tiles = _address(part)
        data = await self._media.load(address, param)
        async with self._decoders.open(data, options, param) as document:
            pages: list[Image.Image] = [await document.page(n) for n in document.numbers]
        return [ImagePart(page, max_tiles=max_tiles) for page in pages]


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
    """Returns a conversation in which the last turn asks for a task, if it is pictures alone."""
    *before, last = turns
    if not last["content"] or not all(isinstance(part, ImagePart) for part in last["content"]):
        return list(turns)
    return [*before, {**last, "content": [*last["content"], question(task, None, chat)]}]
