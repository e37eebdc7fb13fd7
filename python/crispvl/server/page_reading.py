"""The pages of a document read by turns, with events as they happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from anyio import to_thread

from crispvl.events import Event, PageDone
from crispvl.options import ReadOptions
from crispvl.results.html_report import data_address
from crispvl.results.page import Page
from crispvl.server.decoding import DecodedDocument
from crispvl.server.errors import ApiError
from crispvl.server.pool import ServedModel
from crispvl.server.worker import Worker

if TYPE_CHECKING:
    from crispvl._core import CancelToken


@dataclass(frozen=True)
class PageDecoded:
    """A page has its turn.

    Attributes:
        shown: It as a ``data:`` address, scaled down, where it is to be shown. Not the page itself,
            since a caller that is slow to take events must not make pages pile up.
    """

    width: int
    height: int
    shown: str | None


NumberedEvent = tuple[int, Event | PageDecoded]
"""The number of a page, and what happened to it."""


class PagesReader:
    """Reads the pages of one document, several at a time.

    Each page waits for a turn of its own, so that a long document does not keep others waiting;
    a page is decoded when it has its turn.

    Args:
        model: Reads.
        worker: Has the threads.
        document: Whose pages are read.
        options: How; its range of pages has been applied.
        prompt: What to ask of each page.
        preview: Whether pages are to be shown.
    """

    def __init__(
        self,
        model: ServedModel,
        worker: Worker,
        document: DecodedDocument,
        options: ReadOptions,
        prompt: str | None,
        preview: bool,
    ) -> None:
        self._model = model
        self._worker = worker
        self._document = document
        self._options = replace(options, pages=None, password=None)
        self._prompt = prompt
        self._preview = preview
        self._decoding = asyncio.Lock()
        self._events: asyncio.Queue[NumberedEvent | None] = asyncio.Queue()

    async def events(self) -> AsyncGenerator[NumberedEvent, None]:
        """Yields what happens to all pages, of each in order; the first error ends all.

        Raises:
            ApiError: The only page cannot be read; among several, it is the page's own error.
        """
        reading = asyncio.ensure_future(self._read_all())
        reading.add_done_callback(lambda _: self._events.put_nowait(None))
        try:
            while (event := await self._events.get()) is not None:
                yield event
            await reading
        finally:
            reading.cancel()
            await asyncio.wait((reading,))

    async def _read_all(self) -> None:
        left = iter(self._document.numbers)
        n_readers = min(len(self._document.numbers), self._model.admission.n_places)

        async def read_some() -> None:
            for number in left:
                await self._read_or_tell(number)

        readers = [asyncio.ensure_future(read_some()) for _ in range(n_readers)]
        try:
            await asyncio.gather(*readers)
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    async def _read_or_tell(self, number: int) -> None:
        try:
            await self._read(number)
        except ApiError as error:
            if len(self._document.numbers) == 1 or error.status >= 500:
                raise
            self._events.put_nowait((number, PageDone(page=Page(number=number, error=error))))

    async def _read(self, number: int) -> None:
        async with AsyncExitStack() as stack:
            async with self._decoding:  # pages that wait for the one before them have no turn
                turn = await stack.enter_async_context(self._model.admission.turn())
                image = await self._document.page(number, turn.given_up)
            shown = await to_thread.run_sync(data_address, image) if self._preview else None
            self._events.put_nowait((number, PageDecoded(image.width, image.height, shown)))

            def work(cancel: CancelToken, give: Callable[[Event], None]) -> None:
                stream = self._model.ocr.stream(
                    image, self._prompt, options=self._options, cancel=cancel, on_event=give
                )
                for _ in stream.events():
                    pass

            async with self._worker.in_thread(work) as events:
                async for event in events:
                    if isinstance(event, PageDone):
                        event = PageDone(page=replace(event.page, number=number, name=""))
                    self._events.put_nowait((number, event))
