"""The part of `crispvl.CrispOCR` that answers: conversations about images, objects of a schema."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crispvl.engine.constraint import JsonConstraint
from crispvl.engine.engine import Engine
from crispvl.engine.model import Model
from crispvl.engine.prefill import Progress
from crispvl.engine.request import Constraint, Request
from crispvl.engine.session_cache import SessionCache
from crispvl.engine.token_stream import TokenStream
from crispvl.inputs.images import ImageLike, open_image, source_name
from crispvl.inputs.sources import open_source
from crispvl.options import ReadOptions
from crispvl.prompts.builder import PromptBuilder
from crispvl.prompts.messages import ImagePart, parse_messages
from crispvl.reading.extraction import Schema, extract
from crispvl.reading.pages import PreparedPage, prepare_page, tile_limits
from crispvl.reading.streams import AnswerStream, new_token
from crispvl.reading.time_limits import limited, shortest
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


class Conversing:
    """What `crispvl.CrispOCR` offers beyond reading page by page."""

    _options: ReadOptions
    _prompts: PromptBuilder
    _cache: SessionCache

    @property
    def model(self) -> Model:
        """The low level."""
        raise NotImplementedError

    @property
    def engine(self) -> Engine:
        """Answers what all callers of the model ask, in one batch."""
        raise NotImplementedError

    def _chosen(self, options: ReadOptions | None, settings: Mapping[str, Any]) -> ReadOptions:
        """Returns what a call reads with; what its options leave open is as for the reader.

        Raises:
            ValueError: The model cannot read so.
        """
        given = options or self._options
        own = vars(self._options).items()
        left = {name: value for name, value in own if getattr(given, name) is None}
        chosen = replace(given, **{**left, **settings})
        tile_limits(self.model.config, chosen)
        if chosen.thinking:
            self._prompts.check_thinking()
        return chosen

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        options: ReadOptions | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        **settings: Any,
    ) -> Answer:
        """Answers a conversation, with any number of images or none.

        The KV cache of the last conversation is kept until the next or until `close`: a turn that
        adds to it computes only what is new, and encodes no image again.

        Args:
            messages: ``{"role": "user", "content": …}`` in turn, content being a string or a list
                of ``{"type": "text", "text": …}``, ``{"type": "image", "image": …}`` and
                ``{"type": "video", "video": …, "n_frames": 8}``, a video being a file or a list of
                images.
            options: Tiles, limits and sampling; greedy without it. The shorter of its time limits
                holds for the whole answer, which then ends with what there is.
            cancel: Stops within one layer of encoding or one token.
            progress: Called with tiles encoded and tiles in all.
            **settings: Single fields of `ReadOptions`.

        Raises:
            ImageError: An image is damaged, or too small or thin to hold text.
            ContextOverflowError: The conversation does not fit the model's context.
            Cancelled: ``partial`` is the `Answer` so far.
        """
        return self.chat_stream(
            messages, options=options, cancel=cancel, progress=progress, **settings
        ).read()

    def chat_stream(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        options: ReadOptions | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        **settings: Any,
    ) -> AnswerStream:
        """Like `chat`, but yields the text as it is written."""
        chosen = self._chosen(options, settings)
        cancel = cancel or new_token()
        return self._answer(messages, chosen, cancel, _limited(cancel, chosen), progress)

    def prepare_chat(
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
            messages: As for `chat`.
            options: As for `chat`. The shorter of its time limits counts from now.
            cancel: Stops the request.
            constraint: Chooses the tokens, such as a `crispvl.engine.constraint.JsonConstraint`.
            **settings: Single fields of `ReadOptions`.

        Raises:
            ImageError: An image is damaged, or too small or thin to hold text.
        """
        chosen = self._chosen(options, settings)
        return self._prepare(messages, chosen, _limited(cancel, chosen), constraint)

    def _answer(
        self,
        messages: Sequence[Mapping[str, Any]],
        chosen: ReadOptions,
        cancel: CancelToken,
        with_limit: CancelToken | None,
        progress: Progress | None = None,
        constraint: Constraint | None = None,
    ) -> AnswerStream:
        chat = self._prepare(messages, chosen, with_limit, constraint)
        tokens = TokenStream(self.model, chat.request)
        return AnswerStream(self.engine, tokens, chat.n_tiles, chat.image_ms, cancel, progress)

    def _prepare(
        self,
        messages: Sequence[Mapping[str, Any]],
        chosen: ReadOptions,
        cancel: CancelToken | None,
        constraint: Constraint | None,
    ) -> PreparedChat:
        model = self.model
        parsed = parse_messages(messages)
        started = time.perf_counter()
        parts = [part for message in parsed for part in message.image_parts]
        images = [
            _prepare_image(part, model, chosen, alone=len(parts) == 1).tiles for part in parts
        ]
        image_ms = 1000 * (time.perf_counter() - started)
        per_tile = model.config.projector.tokens_per_tile
        request = Request(
            prompt_ids=self._prompts.build(
                parsed, [len(tiles) * per_tile for tiles in images], chosen.thinking
            ),
            images=images,
            options=chosen,
            repair_loops=chosen.repair_loops,
            sessions=self._cache.for_chat(images),
            constraint=constraint,
            cancel=cancel,
        )
        return PreparedChat(request=request, n_tiles=sum(map(len, images)), image_ms=image_ms)

    def extract(
        self,
        document: ImageLike,
        schema: Any,
        prompt: str | None = None,
        *,
        options: ReadOptions | None = None,
        constrained: bool = True,
        cancel: CancelToken | None = None,
        **settings: Any,
    ) -> Any:
        """Reads a document into an object of a given shape; its pages are asked about together.

        Args:
            document: Anything `recognize` takes.
            schema: A JSON schema as dict, or a pydantic model class.
            prompt: What to extract, put before the schema.
            options: Pages, tiles, limits and sampling. The shorter of its time limits holds for the
                whole, attempts that are asked again included.
            constrained: Sample only tokens that keep to the schema. Without, the model is told
                where its answer does not follow it, and asked again.
            cancel: Stops within one layer of encoding or one token.
            **settings: Single fields of `ReadOptions`.

        Returns:
            An instance of the pydantic model, or what the JSON schema describes.

        Raises:
            ExtractionError: The model's answer does not follow the schema: it was cut off at
                ``max_tokens`` or by a time limit, or was not constrained.
            ContextOverflowError: The pages do not fit the model's context together.
        """
        chosen = self._chosen(options, settings)
        cancel = cancel or new_token()
        with_limit = _limited(cancel, chosen)
        with open_source(document, chosen) as source:
            images = [ImagePart(page.load()) for page in source.pages(chosen.pages)]
        wanted = Schema(schema)

        def ask(turns: list[dict[str, Any]]) -> Answer:
            constraint = None
            if constrained:
                constraint = JsonConstraint(
                    self.model, wanted.json_schema, chosen.temperature, chosen.seed
                )
            return self._answer(turns, chosen, cancel, with_limit, None, constraint).read()

        return extract(ask, images, wanted, prompt)


def _limited(cancel: CancelToken | None, options: ReadOptions) -> CancelToken | None:
    return limited(cancel, shortest(options.time_limit, options.page_time_limit))


def _prepare_image(
    part: ImagePart, model: Model, options: ReadOptions, *, alone: bool
) -> PreparedPage:
    if part.max_tiles is not None:
        options = replace(options, max_tiles=part.max_tiles, min_tiles=1)
    image, name = open_image(part.image), source_name(part.image)
    return prepare_page(image, name, model.config, options, alone=alone)
