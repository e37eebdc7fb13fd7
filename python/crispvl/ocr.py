"""The high level: documents in, text out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crispvl import bundled, hub
from crispvl.chat_sessions import ChatSessions
from crispvl.constraint import JsonConstraint
from crispvl.document import Document
from crispvl.errors import Cancelled
from crispvl.events import Event
from crispvl.extraction import Schema, extract
from crispvl.generation import TokenStream
from crispvl.images import ImageLike, open_image, source_name
from crispvl.messages import ImagePart, parse_messages
from crispvl.model import Model
from crispvl.options import ReadOptions
from crispvl.pages import prepare_page
from crispvl.prefill import Progress
from crispvl.prompts import PromptBuilder
from crispvl.reading import DocumentReader
from crispvl.results import Answer
from crispvl.sources import open_source
from crispvl.streams import AnswerStream, TextStream

if TYPE_CHECKING:
    from crispvl._core import CancelToken


class CrispOCR:
    """Reads images and documents with an InternVL model. Any number of threads may use one.

    Args:
        model: A GGUF file, or a name on the hub: ``org/repo``, or ``org/repo:q4_k_m`` for a file.
            What exists, or ends in ``.gguf``, is a path and never touches the network. Without it,
            the small bundled model.
        mmproj: The projector, where the model comes as two files; found by itself on the hub.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``metal``, ``vulkan`` …
        threads: CPU threads; None means one per physical core.
        exact: Compute in float32 throughout: slower, for comparisons.
        max_tiles: Most tiles per image, the thumbnail not counted; None means the model's own.
        min_tiles: Fewest tiles per image; None means the model's own.
        tokenizer: Checkpoint folder or GGUF file whose tokenizer stands in for the model's own.

    Raises:
        FileNotFoundError: A file does not exist.
        ModelFileError: A file is damaged, of an unknown kind, or the two do not fit.
        DeviceError: The device does not exist.

    Example:
        >>> ocr = CrispOCR()
        >>> print(ocr.recognize("receipt.png"))
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Model | None = None,
        mmproj: str | os.PathLike[str] | None = None,
        device: str = "auto",
        threads: int | None = None,
        exact: bool = False,
        max_tiles: int | None = None,
        min_tiles: int | None = None,
        tokenizer: str | os.PathLike[str] | None = None,
    ) -> None:
        self._options = ReadOptions(max_tiles=max_tiles, min_tiles=min_tiles)
        self._arguments = (model, mmproj, device, threads, exact, max_tiles, min_tiles, tokenizer)
        if not isinstance(model, Model):
            file = bundled.verified_path() if model is None else model
            name = hub.parse_name(file)
            if name is not None:
                projector = None if mmproj is None else os.fspath(mmproj)
                file, mmproj = hub.download(name.repo, name.filename, projector)
            model = Model.load(file, mmproj, device, threads, exact=exact, tokenizer=tokenizer)
        self._model: Model | None = model
        self._prompts = PromptBuilder(model)
        self._chats = ChatSessions()

    @classmethod
    def from_pretrained(
        cls,
        repo: str,
        filename: str = hub.DEFAULT_FILES,
        mmproj: str | None = None,
        revision: str | None = None,
        **options: Any,
    ) -> CrispOCR:
        """Loads a model from the Hugging Face hub, or from its cache.

        Args:
            repo: ``organisation/name``.
            filename: Name or pattern of the GGUF file.
            mmproj: Name or pattern of the projector; found by itself where there is one.
            revision: Branch, tag or commit.
            **options: Further arguments of `CrispOCR`.
        """
        model_path, mmproj_path = hub.download(repo, filename, mmproj, revision)
        return cls(model_path, mmproj_path, **options)

    @property
    def model(self) -> Model:
        """The low level; after `close` a ValueError."""
        if self._model is None:
            raise ValueError("[CrispOCR] an open reader is expected; it was closed; make a new one")
        return self._model

    def recognize(
        self,
        document: ImageLike,
        prompt: str | None = None,
        *,
        options: ReadOptions | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        on_event: Callable[[Event], object] | None = None,
        **settings: Any,
    ) -> Document:
        """Reads an image, or the pages of a document.

        Args:
            document: Path, bytes, binary file, PIL image, or uint8 array (grey, RGB, RGBA); of an
                image, a PDF, or a TIFF, GIF or WebP of several frames.
            prompt: What to ask of each page; without it, the prompt for ``task`` that the model was
                trained on. With the task ``grounding``, what to look for.
            options: Task, pages, tiles, limits and sampling; greedy without it.
            cancel: Stops within one layer of encoding or one token.
            progress: Called with tiles encoded and tiles in all of the current page.
            on_event: Called with each event of `crispvl.events` as it happens.
            **settings: Single fields of `ReadOptions`, such as ``max_tokens=64``.

        Returns:
            The document. A page that fails among several holds its ``error``; where a time limit
            ends, what there is until then is returned.

        Raises:
            FileNotFoundError: The file does not exist.
            ImageError: The only page is damaged, or too small or thin to hold text.
            PasswordError: The document is encrypted, and the password is missing or wrong.
            DocumentError: The document is damaged.
            ContextOverflowError: The only page and the prompt do not fit the model's context.
            Cancelled: ``partial`` is the `Document` so far.
        """
        return self.stream(
            document,
            prompt,
            options=options,
            cancel=cancel,
            progress=progress,
            on_event=on_event,
            **settings,
        ).read()

    def stream(
        self,
        document: ImageLike,
        prompt: str | None = None,
        *,
        options: ReadOptions | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        on_event: Callable[[Event], object] | None = None,
        skip: Callable[[int], bool] | None = None,
        keep_pages: bool = True,
        **settings: Any,
    ) -> TextStream:
        """Like `recognize`, but yields the text as it is written, in whole characters.

        The document is opened at once, the model runs as the stream is read, by ``for`` or by
        ``async for``. The chunks together are `recognize`'s text; the stream's ``result`` is its
        result. The arguments are `recognize`'s, and two more:

        Args:
            skip: Leaves out the pages for whose number it returns true.
            keep_pages: Whether the result holds the pages. Without, memory does not grow with the
                document; take them from the `PageDone` events.
        """
        cancel = cancel or _new_token()
        chosen = replace(options or self._options, **settings)
        reader = DocumentReader(
            self.model, self._prompts, document, prompt, chosen, cancel, progress, on_event, skip,
            keep_pages,
        )  # fmt: skip
        return TextStream(reader, cancel)

    def recognize_many(
        self, documents: Iterable[ImageLike], prompt: str | None = None, **arguments: Any
    ) -> Iterator[Document]:
        """Reads documents and yields a result for each, in order.

        One that fails yields a `Document` with ``error`` set and does not stop the others. The
        further arguments are those of `recognize`; `Cancelled` and Ctrl-C end the iteration.
        """
        for document in documents:
            try:
                yield self.recognize(document, prompt, **arguments)
            except Cancelled:
                raise
            except Exception as error:  # whatever one item does must not lose the others
                yield Document(source=source_name(document), error=error)

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
                of ``{"type": "text", "text": …}`` and ``{"type": "image", "image": …}``.
            options: Tiles, limits and sampling; greedy without it.
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
        chosen = replace(options or self._options, **settings)
        return self._answer(messages, chosen, cancel or _new_token(), progress)

    def _answer(
        self,
        messages: Sequence[Mapping[str, Any]],
        chosen: ReadOptions,
        cancel: CancelToken,
        progress: Progress | None = None,
        constraint: JsonConstraint | None = None,
    ) -> AnswerStream:
        model = self.model
        parsed = parse_messages(messages)
        started = time.perf_counter()
        images = [image for message in parsed for image in message.images]
        pages = [
            prepare_page(open_image(image), source_name(image), model.config, chosen)
            for image in images
        ]
        tiles = np.concatenate([page.tiles for page in pages]) if pages else None
        image_ms = 1000 * (time.perf_counter() - started)

        per_tile = model.config["projector"]["tokens_per_tile"]
        prompt_ids = self._prompts.build(parsed, [len(page.tiles) * per_tile for page in pages])
        start = self._chats.start([page.tiles for page in pages])
        tokens = TokenStream(
            model, prompt_ids, tiles, chosen, cancel, progress, chosen.repair_loops, start,
            constraint,
        )  # fmt: skip
        return AnswerStream(tokens, 0 if tiles is None else len(tiles), image_ms, cancel)

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
            options: Pages, tiles, limits and sampling.
            constrained: Sample only tokens that keep to the schema. Without, the model is told
                where its answer does not follow it, and asked again.
            cancel: Stops within one layer of encoding or one token.
            **settings: Single fields of `ReadOptions`.

        Returns:
            An instance of the pydantic model, or what the JSON schema describes.

        Raises:
            ExtractionError: The model's answer does not follow the schema: it was cut off at
                ``max_tokens``, or was not constrained.
            ContextOverflowError: The pages do not fit the model's context together.
        """
        chosen = replace(options or self._options, **settings)
        with open_source(document, chosen) as source:
            images = [ImagePart(page.load()) for page in source.pages(chosen.pages)]
        wanted = Schema(schema)

        def ask(turns: list[dict[str, Any]]) -> str:
            constraint = None
            if constrained:
                constraint = JsonConstraint(
                    self.model, wanted.json_schema, chosen.temperature, chosen.seed
                )
            return self._answer(turns, chosen, cancel or _new_token(), None, constraint).read().text

        return extract(ask, images, wanted, prompt)

    def close(self) -> None:
        """Lets go of the model; its memory is freed once no stream uses it any more."""
        self._chats.clear()
        self._model = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets a reader of its own, loaded from the same file."""
        if isinstance(self._arguments[0], Model):
            raise TypeError(
                "[CrispOCR] a reader made from a file is expected, which another process can open; "
                "found one made from a Model; pass the file's path"
            )
        return type(self), self._arguments

    def __enter__(self) -> CrispOCR:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _new_token() -> CancelToken:
    from crispvl import _core

    return _core.CancelToken()
