"""The high level: documents in, text out."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from crispvl import hub
from crispvl.engine.engine import Engine
from crispvl.engine.model import Model
from crispvl.engine.prefill import Progress
from crispvl.engine.session_cache import EMBEDDING_BYTES, SessionCache
from crispvl.events import DocumentDone, Event
from crispvl.inputs.images import ImageLike
from crispvl.options import LoadOptions, ReadOptions
from crispvl.reading.answering import Answering, PreparedChat
from crispvl.reading.document_reader import DocumentReader
from crispvl.reading.loading import ReaderRecipe
from crispvl.reading.many import ManyReader, NumberedEvent
from crispvl.reading.requests import ReadingContext
from crispvl.reading.streams import AnswerStream, TextStream
from crispvl.results.document import Document
from crispvl.results.generation import Answer

if TYPE_CHECKING:
    from crispvl._core import CancelToken


class CrispOCR:
    """Reads images and documents with an InternVL model. Any number of threads may use one.

    Args:
        model: A GGUF file, or a name on the hub: ``org/repo``, or ``org/repo:q4_k_m`` for a file.
            What exists, or ends in ``.gguf``, is a path and never touches the network. Without it,
            the small bundled model. Or a `Model`, which many readers may share.
        mmproj: The projector, if the model comes as two files; found automatically on the hub.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``metal``, ``vulkan`` …
        threads: CPU threads; None means one per usable core.
        load: How to load the model, device and threads included.
        max_tiles: Most tiles per image, the thumbnail not counted; None means the model's own.
        min_tiles: Fewest tiles per image; None means the model's own.
        image_cache_bytes: Most memory for images that may be asked about again; 0 keeps nothing,
            neither images nor the KV cache of the last page or conversation.
        **settings: Single fields of `LoadOptions`, such as ``exact=True``.

    Raises:
        FileNotFoundError: A file does not exist.
        ModelFileError: A file is damaged, of an unknown kind, or the two do not fit.
        DeviceError: The device does not exist.
        ValueError: ``min_tiles`` exceeds ``max_tiles``, or both a `Model` and options for loading
            one are given.

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
        *,
        load: LoadOptions | None = None,
        max_tiles: int | None = None,
        min_tiles: int | None = None,
        image_cache_bytes: int = EMBEDDING_BYTES,
        **settings: Any,
    ) -> None:
        self._recipe = ReaderRecipe(
            model=model,
            mmproj=mmproj,
            load=LoadOptions.of(load, device, threads, **settings),
            max_tiles=max_tiles,
            min_tiles=min_tiles,
            image_cache_bytes=image_cache_bytes,
        )
        self._cache = SessionCache(image_cache_bytes)
        self._context: ReadingContext | None = self._recipe.open(self._cache)

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
            mmproj: Name or pattern of the projector; found automatically if there is one.
            revision: Branch, tag or commit.
            **options: Further arguments of `CrispOCR`.
        """
        model_path, mmproj_path = hub.download(repo, filename, mmproj, revision)
        return cls(model_path, mmproj_path, **options)

    @property
    def model(self) -> Model:
        """The low level; after `close` a ValueError."""
        return self._open.model

    @property
    def engine(self) -> Engine:
        """Answers what all callers of the model ask, in one batch; after `close` a ValueError."""
        return self._open.engine

    @property
    def answering(self) -> Answering:
        """Answers conversations with the model; after `close` a ValueError."""
        return Answering(self._open)

    @property
    def cache(self) -> SessionCache:
        """What is kept between answers: images, the last page, the last conversation or more."""
        return self._cache

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
                image, a PDF, or a TIFF, DCX, PNM, GIF or WebP of several frames.
            prompt: What to ask of each page; without it, the prompt for ``task`` that the model was
                trained on. With the task ``grounding``, what to look for.
            options: Task, pages, tiles, limits and sampling; greedy without it.
            cancel: Stops within one layer of encoding or one token.
            progress: Called with tiles encoded and tiles in all of a page.
            on_event: Called with each event of `crispvl.events`, page after page.
            **settings: Single fields of `ReadOptions`, such as ``max_tokens=64``.

        Returns:
            The document. A page that fails among several holds its ``error``; if a time limit
            expires, what was read until then is returned.

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
        request = self._open.request(
            prompt, options=options, cancel=cancel, progress=progress, on_event=on_event,
            skip=skip, keep_pages=keep_pages, **settings,
        )  # fmt: skip
        return TextStream(DocumentReader(self._open, document, request), request.cancel)

    def recognize_many(
        self, documents: Iterable[ImageLike], prompt: str | None = None, **arguments: Any
    ) -> Iterator[Document]:
        """Reads documents, several pages at a time, and yields a result for each, in order.

        That costs less than one after another: the pages being written share each pass over the
        weights. ``streams`` says how many at most. A document that fails yields a `Document` with
        ``error`` set and does not stop the others. The further arguments are those of `recognize`;
        `Cancelled` and Ctrl-C end the iteration.
        """
        request = self._open.request(prompt, **arguments)
        reader = ManyReader(self._open, documents, request)
        reader.tells_text = False
        with closing(reader.events()) as events:
            for _, event in events:
                if isinstance(event, DocumentDone):
                    yield event.document

    def stream_many(
        self,
        documents: Iterable[ImageLike],
        prompt: str | None = None,
        *,
        skip: Callable[[int, int], bool] | None = None,
        **arguments: Any,
    ) -> Generator[NumberedEvent, None, None]:
        """Like `recognize_many`, but yields what happens while it is read.

        The further arguments are those of `stream`, except that ``skip`` is given the number of the
        document before that of the page.

        Yields:
            The number of the document, counted from 0, and the event: all that ``on_event`` gets,
            and a `crispvl.events.DocumentDone` at the end of each document.
        """
        request = self._open.request(prompt, **arguments)
        return ManyReader(self._open, documents, request, skip).events()

    def chat(self, messages: Sequence[Mapping[str, Any]], **arguments: Any) -> Answer:
        """Answers a conversation, with any number of images or none.

        The KV cache of the last conversation is kept until the next one or until `close`: a turn
        that adds to it computes only what is new, and encodes no image again.

        Args:
            messages: ``{"role": "user", "content": …}`` in turn, content being a string or a list
                of ``{"type": "text", "text": …}``, ``{"type": "image", "image": …}`` and
                ``{"type": "video", "video": …, "n_frames": 8}``, a video being a file or a list of
                images.
            **arguments: ``options``, ``cancel``, ``progress`` and single settings, as for
                `recognize`. The shorter of the time limits applies to the whole answer, which then
                ends early.

        Raises:
            ImageError: An image is damaged, or too small or thin to hold text.
            ContextOverflowError: The conversation does not fit the model's context.
            Cancelled: ``partial`` is the `Answer` so far.
        """
        return self.chat_stream(messages, **arguments).read()

    def chat_stream(self, messages: Sequence[Mapping[str, Any]], **arguments: Any) -> AnswerStream:
        """Like `chat`, but yields the text as it is written."""
        return self.answering.stream(messages, **arguments)

    def prepare_chat(self, messages: Sequence[Mapping[str, Any]], **arguments: Any) -> PreparedChat:
        """Makes a conversation ready for `Engine.submit`; see `Answering.prepare`."""
        return self.answering.prepare(messages, **arguments)

    def extract(
        self,
        document: ImageLike,
        schema: Any,
        prompt: str | None = None,
        *,
        constrained: bool = True,
        **arguments: Any,
    ) -> Any:
        """Reads a document into an object of a given shape; its pages are asked about together.

        Args:
            document: Anything `recognize` takes.
            schema: A JSON schema as dict, or a pydantic model class.
            prompt: What to extract, put before the schema.
            constrained: Sample only tokens that conform to the schema. If false, the model is told
                where its answer does not conform, and asked again.
            **arguments: Options and `cancel`, as for `chat`. The shorter of the time limits applies
                to everything, repeated attempts included.

        Returns:
            An instance of the pydantic model, or what the JSON schema describes.

        Raises:
            ExtractionError: The model's answer does not follow the schema: it was cut off at
                ``max_tokens`` or by a time limit, or was not constrained.
            ContextOverflowError: The pages do not fit the model's context together.
        """
        return self.answering.extract(
            document, schema, prompt, constrained=constrained, **arguments
        )

    def close(self) -> None:
        """Releases the model; its memory is freed once no stream uses it any more."""
        self._cache.clear()
        self._context = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets a reader of its own, loaded from the same file."""
        self._recipe.check_portable()
        return self._recipe.make, (type(self),)

    @property
    def _open(self) -> ReadingContext:
        if self._context is None:
            raise ValueError(
                "[CrispOCR] expected an open reader; found a closed one; make a new one"
            )
        return self._context

    def __enter__(self) -> CrispOCR:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
