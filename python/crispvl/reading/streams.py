"""Text as it is written: iterators of whole characters, for plain and for asynchronous code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from crispvl.engine.engine import Engine
from crispvl.engine.handle import Handle
from crispvl.engine.prefill import Progress
from crispvl.engine.token_stream import Token, TokenStream
from crispvl.errors import Cancelled
from crispvl.events import Event, PageStarted, TextRead
from crispvl.reading.document_reader import DocumentReader
from crispvl.results.document import Document
from crispvl.results.generation import Answer, Generation
from crispvl.results.page import PAGE_BREAK

if TYPE_CHECKING:
    from crispvl._core import CancelToken


class _Chunks(Iterator[str]):
    """Chunks of text, for ``for`` and ``async for``. One task or thread reads it at a time.

    ``async for`` runs the model in the event loop's default executor; where its task is cancelled,
    the stream's token is, and the model has stopped before the task ends.
    """

    def __init__(self, cancel: CancelToken) -> None:
        self._cancel = cancel

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        chunk = asyncio.get_running_loop().run_in_executor(None, lambda: next(self, None))
        try:
            text = await asyncio.shield(chunk)
        except asyncio.CancelledError:
            self._cancel.cancel()
            await asyncio.wait([chunk])
            chunk.exception()  # retrieved, or asyncio would log that it was not
            raise
        if text is None:
            raise StopAsyncIteration
        return text


class TextStream(_Chunks):
    """The text of a document as it is read, a form feed between its pages.

    ``result`` is complete once the stream is exhausted; before, it holds what there is so far.
    """

    def __init__(self, reader: DocumentReader, cancel: CancelToken) -> None:
        super().__init__(cancel)
        self._reader = reader
        self._events = reader.events()

    def __next__(self) -> str:
        for event in self._events:
            if isinstance(event, TextRead):
                return event.text
            if isinstance(event, PageStarted) and event.i_page > 0:
                return PAGE_BREAK
        raise StopIteration

    def events(self) -> Iterator[Event]:
        """Yields all events, instead of only the text."""
        return self._events

    def read(self) -> Document:
        """Reads to the end and returns the result."""
        self._reader.tells_text = False
        for _ in self._events:
            pass
        return self.result

    async def aread(self) -> Document:
        """Like `read`, without blocking the event loop."""
        async for _ in self:
            pass
        return self.result

    def close(self) -> None:
        """Stops reading and frees the KV cache; ``result`` keeps what there is."""
        self._events.close()
        self._reader.close()

    @property
    def result(self) -> Document:
        return self._reader.document


class AnswerStream(_Chunks):
    """The text of a chat answer as it is written.

    ``result`` is complete once the stream is exhausted; before, it holds what there is so far.
    """

    def __init__(
        self,
        engine: Engine,
        tokens: TokenStream,
        n_tiles: int,
        image_ms: float,
        cancel: CancelToken,
        progress: Progress | None,
    ) -> None:
        super().__init__(cancel)
        self._engine = engine
        self._tokens = tokens
        self._n_tiles = n_tiles
        self._image_ms = image_ms
        self._progress = progress
        self._handle: Handle[Generation] | None = None
        self._texts = self._write()

    def __next__(self) -> str:
        return next(self._texts)

    def _begun(self) -> Handle[Generation]:
        if self._handle is None:
            self._handle = self._engine.run(self._tokens)
        return self._handle

    def _write(self) -> Generator[str, None, None]:
        try:
            with self._begun() as handle:
                for event in handle.events():
                    if isinstance(event, Token):
                        if event.text:
                            yield event.text
                    elif self._progress is not None:
                        self._progress(event.n_done, event.n_tiles)
        except Cancelled as error:
            error.partial = self.result
            raise

    def read(self) -> Answer:
        """Reads to the end and returns the result."""
        try:
            if self._progress is None:  # nothing is reported before the end
                self._engine.wait([self._begun()], "end")
            for _ in self:
                pass
        except BaseException:
            self.close()
            raise
        return self.result

    async def aread(self) -> Answer:
        """Like `read`, without blocking the event loop."""
        async for _ in self:
            pass
        return self.result

    def close(self) -> None:
        """Stops writing; ``result`` keeps what there is."""
        if self._handle is not None:
            self._handle.cancel()
        self._texts.close()

    @property
    def result(self) -> Answer:
        generation = self._tokens.generation if self._handle is None else self._handle.partial
        timings = replace(generation.timings, image_ms=self._image_ms)
        return Answer(generation=generation, n_tiles=self._n_tiles, timings=timings)
