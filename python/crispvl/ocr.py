"""The high level: images in, text out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crispvl import bundled, hub
from crispvl.errors import Cancelled
from crispvl.generation import Progress, TokenStream
from crispvl.images import ImageLike, source_name
from crispvl.messages import ImagePart, Message, parse_messages
from crispvl.model import Model
from crispvl.options import ReadOptions
from crispvl.pages import TextStream, prepare_page
from crispvl.prompts import PromptBuilder
from crispvl.results import Result
from crispvl.tasks import prompt_for

if TYPE_CHECKING:
    from crispvl._core import CancelToken


class CrispOCR:
    """Reads images with an InternVL model.

    Args:
        model: A GGUF file; without it, the small bundled model.
        mmproj: The projector, where the model comes as two files.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``metal``, ``vulkan`` …
        threads: CPU threads; None means one per physical core.
        exact: Compute in float32 throughout: slower, for comparisons.
        max_tiles: Most tiles per image, the thumbnail not counted; None means the model's own.
        min_tiles: Fewest tiles per image; None means the model's own.

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
    ) -> None:
        self._options = ReadOptions(max_tiles=max_tiles, min_tiles=min_tiles)
        if not isinstance(model, Model):
            file = bundled.verified_path() if model is None else model
            model = Model.load(file, mmproj, device, threads, exact=exact)
        self._model: Model | None = model
        self._prompts = PromptBuilder(model)

    @classmethod
    def from_pretrained(
        cls,
        repo: str,
        filename: str = "*q8_0*",
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
        image: ImageLike,
        prompt: str | None = None,
        *,
        options: ReadOptions | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        **settings: Any,
    ) -> Result:
        """Reads one image.

        Args:
            image: Path, bytes, binary file, PIL image, or uint8 array (grey, RGB, RGBA).
            prompt: What to ask; without it, the prompt for ``task`` that the model was trained on.
            options: Task, tiles, limits and sampling; greedy without it.
            cancel: Stops within one layer of encoding or one token.
            progress: Called with tiles encoded and tiles in all.
            **settings: Single fields of `ReadOptions`, such as ``max_tokens=64``.

        Raises:
            FileNotFoundError: The file does not exist.
            ImageError: The image is damaged, or too small or thin to hold text.
            ContextOverflowError: Image and prompt do not fit the model's context.
            Cancelled: ``partial`` is the `Result` so far.
        """
        return self.stream(
            image, prompt, options=options, cancel=cancel, progress=progress, **settings
        ).read()

    def stream(
        self,
        image: ImageLike,
        prompt: str | None = None,
        *,
        options: ReadOptions | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        **settings: Any,
    ) -> TextStream:
        """Like `recognize`, but yields the text as it is written, in whole characters.

        The image is opened at once, the model runs as the stream is read. The chunks together are
        `recognize`'s text; the stream's ``result`` is its result.
        """
        chosen = replace(options or self._options, **settings)
        if prompt is None:
            prompt = prompt_for(chosen.task, self.model.config["chat"])
        messages = [Message("user", (ImagePart(image), prompt))]
        return self._start(messages, chosen, cancel, progress)

    def recognize_many(
        self, images: Iterable[ImageLike], prompt: str | None = None, **arguments: Any
    ) -> Iterator[Result]:
        """Reads images and yields a result for each, in order.

        An image that fails yields a `Result` with ``error`` set and does not stop the others. The
        further arguments are those of `recognize`; `Cancelled` and Ctrl-C end the iteration.
        """
        for image in images:
            try:
                yield self.recognize(image, prompt, **arguments)
            except Cancelled:
                raise
            except Exception as error:  # whatever one item does must not lose the others
                yield Result(source=source_name(image), error=error)

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        options: ReadOptions | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        **settings: Any,
    ) -> Result:
        """Answers a conversation, with any number of images or none.

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
            Cancelled: ``partial`` is the `Result` so far.
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
    ) -> TextStream:
        """Like `chat`, but yields the text as it is written."""
        chosen = replace(options or self._options, **settings)
        return self._start(parse_messages(messages), chosen, cancel, progress)

    def close(self) -> None:
        """Lets go of the model; its memory is freed once no stream uses it any more."""
        self._model = None

    def __enter__(self) -> CrispOCR:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(
        self,
        messages: Sequence[Message],
        options: ReadOptions,
        cancel: CancelToken | None,
        progress: Progress | None,
    ) -> TextStream:
        model = self.model
        started = time.perf_counter()
        images = [image for message in messages for image in message.images]
        pages = [prepare_page(image, model.config, options) for image in images]
        tiles = np.concatenate([page.tiles for page in pages]) if pages else None
        image_ms = 1000 * (time.perf_counter() - started)

        per_tile = model.config["projector"]["tokens_per_tile"]
        prompt_ids = self._prompts.build(messages, [len(page.tiles) * per_tile for page in pages])
        tokens = TokenStream(model, prompt_ids, tiles, options, cancel, progress)
        return TextStream(tokens, pages, image_ms)
