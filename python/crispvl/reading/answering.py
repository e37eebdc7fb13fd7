"""Answers to conversations about images, and objects of a schema."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crispvl.engine.constraint import JsonConstraint
from crispvl.engine.prefill import Progress
from crispvl.engine.request import Constraint, Request
from crispvl.engine.token_stream import TokenStream
from crispvl.errors import ContextOverflowError
from crispvl.inputs.images import ImageLike, check_readable, open_image, source_name
from crispvl.inputs.sources import open_source
from crispvl.model_config import ModelConfig
from crispvl.options import ReadOptions
from crispvl.prompts.messages import ImagePart, parse_messages
from crispvl.reading.extraction import Schema, extract, no_room
from crispvl.reading.pages import PreparedPage, prepare_page
from crispvl.reading.requests import ReadingContext
from crispvl.reading.streams import AnswerStream
from crispvl.reading.time_limits import limited, new_token, shortest
from crispvl.results.generation import Answer

if TYPE_CHECKING:
    from crispvl._core import CancelToken


@dataclass(frozen=True, kw_only=True)
class PreparedChat:
    """A conversation that is ready to be answered."""

    request: Request
    n_tiles: int
    """Of all its images, thumbnails included."""
    image_ms: float
    """What decoding and tiling the images took."""


class Answering:
    """Answers conversations, all in the running batch of one engine.

    Args:
        context: Answers.
    """

    def __init__(self, context: ReadingContext) -> None:
        self._context = context

    def stream(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        options: ReadOptions | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        **settings: Any,
    ) -> AnswerStream:
        """Returns the answer as it is written; see `crispvl.CrispOCR.chat`."""
        cancel = cancel or new_token()
        chat = self.prepare(messages, options=options, cancel=cancel, **settings)
        return self._stream(chat, cancel, progress)

    def prepare(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        options: ReadOptions | None = None,
        cancel: CancelToken | None = None,
        constraint: Constraint | None = None,
        **settings: Any,
    ) -> PreparedChat:
        """Opens and cuts up a conversation's images and builds its prompt, for `Engine.submit`.

        Args:
            messages: As for `crispvl.CrispOCR.chat`.
            options: As for it. The shorter of its time limits counts from now.
            cancel: Stops the request.
            constraint: Chooses the tokens, such as a `crispvl.engine.constraint.JsonConstraint`.
            **settings: Single fields of `ReadOptions`.

        Raises:
            ImageError: An image is damaged, or too small or thin to hold text.
        """
        chosen = self._context.choose(options, settings)
        return self._prepare(messages, chosen, _limited(cancel, chosen), constraint)

    def extract(
        self,
        document: ImageLike,
        schema: Any,
        prompt: str | None = None,
        *,
        constrained: bool = True,
        options: ReadOptions | None = None,
        cancel: CancelToken | None = None,
        **settings: Any,
    ) -> Any:
        """Reads a document into an object of a given shape; see `crispvl.CrispOCR.extract`."""
        chosen = self._context.choose(options, settings)
        cancel = cancel or new_token()
        with_limit = _limited(cancel, chosen)
        with open_source(document, chosen) as source:
            images = [ImagePart(page.load()) for page in source.pages(chosen.pages)]
        wanted = Schema(schema)

        def ask(turns: list[dict[str, Any]]) -> Answer:
            constraint = None
            if constrained:
                constraint = JsonConstraint(
                    self._context.model, wanted.json_schema, chosen.temperature, chosen.seed
                )
            chat = self._prepare(turns, chosen, with_limit, constraint)
            try:
                return self._stream(chat, cancel).read()
            except ContextOverflowError as error:
                ids = chat.request.prompt_ids
                raise no_room(self._context.model, ids, wanted) from error

        return extract(ask, images, wanted, prompt)

    def _prepare(
        self,
        messages: Sequence[Mapping[str, Any]],
        options: ReadOptions,
        cancel: CancelToken | None,
        constraint: Constraint | None = None,
    ) -> PreparedChat:
        context = self._context
        config = context.model.config
        parsed = parse_messages(messages)
        started = time.perf_counter()
        parts = [part for message in parsed for part in message.image_parts]
        images = [
            _prepare_image(part, config, options, alone=len(parts) == 1).tiles for part in parts
        ]
        context.announce()
        image_ms = 1000 * (time.perf_counter() - started)
        per_tile = config.projector.tokens_per_tile
        request = Request(
            prompt_ids=context.prompts.build(
                parsed, [len(tiles) * per_tile for tiles in images], options.thinking
            ),
            images=images,
            options=options,
            repair_loops=options.repair_loops,
            sessions=context.cache.for_chat(images),
            constraint=constraint,
            cancel=cancel,
        )
        return PreparedChat(request=request, n_tiles=sum(map(len, images)), image_ms=image_ms)

    def _stream(
        self, chat: PreparedChat, cancel: CancelToken, progress: Progress | None = None
    ) -> AnswerStream:
        tokens = TokenStream(self._context.model, chat.request)
        engine = self._context.engine
        return AnswerStream(engine, tokens, chat.n_tiles, chat.image_ms, cancel, progress)


def _limited(cancel: CancelToken | None, options: ReadOptions) -> CancelToken | None:
    return limited(cancel, shortest(options.time_limit, options.page_time_limit))


def _prepare_image(
    part: ImagePart, config: ModelConfig, options: ReadOptions, *, alone: bool
) -> PreparedPage:
    if part.max_tiles is not None:
        options = replace(options, max_tiles=part.max_tiles, min_tiles=1)
    image = open_image(part.image)
    check_readable(image, source_name(part.image))
    return prepare_page(image, config, options, alone=alone)
