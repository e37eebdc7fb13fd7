"""Documents decoded in processes of their own (`crispvl.server.decoder`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any

from PIL import Image

from crispvl.inputs.damage import DAMAGED
from crispvl.inputs.sources import is_pdf
from crispvl.options import InputOptions
from crispvl.server.decoder_process import BrokenError, DecoderProcess, Reply, SlowError
from crispvl.server.errors import ApiError

QUICK_S = 1.5
"""Of the CPU's time, for opening a document and for each of its pages, at first."""

PATIENT_S = 10.0
"""The same for a document that was too slow for that."""

MAX_SLOW = 4
"""Slow documents, of which one is decoded at a time; each may have its page in memory."""

Aside = Callable[[], AbstractAsyncContextManager[None]]
"""Is entered while a slow document is decoded: what others can use meanwhile is given up there."""


class DecodedDocument:
    """A document whose pages are decoded as they are asked for.

    It keeps no process to itself between its pages, so that a long document holds up nobody.

    Attributes:
        param: What it is called in the request.
        is_slow: Whether it has taken longer than most do.
        numbers: Of the pages asked for, counted from 1.
        n_pages: How many the document has.
    """

    def __init__(self, pool: DecoderPool, data: bytes, options: InputOptions, param: str) -> None:
        self._pool = pool
        self._data = data
        self.param = param
        self.key = object()
        self.is_pdf = is_pdf(data)
        self.is_slow = False
        self._request = {
            "do": "open",
            "dpi": options.dpi,
            "password": options.password,
            "pages": options.pages,
        }
        self.numbers: list[int] = []
        self.n_pages = 0

    async def open(self, aside: Aside = nullcontext) -> None:
        """Learns which pages there are."""
        await self._ask(None, aside)

    async def page(self, number: int, aside: Aside = nullcontext) -> Image.Image:
        """Returns a page as RGB, which says in its ``info`` whether its data is damaged.

        Raises:
            ApiError: It is damaged or too large.
        """
        reply, pixels = await self._ask({"do": "page", "number": number}, aside)
        size = int(reply["width"]), int(reply["height"])
        image = Image.frombytes("RGB", size, pixels)
        if reply["damaged"]:
            image.info[DAMAGED] = True
        return image

    async def _ask(self, request: dict[str, Any] | None, aside: Aside) -> Reply:
        """Returns the reply to a request once it is open, or else to its opening."""
        if not self.is_slow:
            try:
                return await self._ask_once(request)
            except SlowError:
                self.is_slow = True
        # What was given up is waited for within the place: so few pages wait for it in memory.
        async with self._pool.slow_place(self.param), aside():
            return await self._ask_once(request)

    async def _ask_once(self, request: dict[str, Any] | None) -> Reply:
        limit = {"cpu_limit_s": PATIENT_S if self.is_slow else QUICK_S}
        async with self._pool.lend(self) as decoder:
            answer: Reply = {}, b""
            if decoder.holds is not self.key:
                decoder.holds = None
                opening = {**self._request, **limit}
                answer = await decoder.ask(opening, self._data, self.param)
                decoder.holds = self.key
                self.numbers, self.n_pages = answer[0]["numbers"], answer[0]["n_pages"]
            if request is not None:
                answer = await decoder.ask({**request, **limit}, b"", self.param)
            return answer


class DecoderPool:
    """Processes that decode, started when they are needed and used again.

    A document that turns out to be slow makes room for others, and is decoded beside them.

    Args:
        n_processes: Most of them, beside the one for what is slow. One is not for PDF files, whose
            pages may take any time, where there are several.
        max_pixels: Of an image.
        max_pages: Of a request.
    """

    def __init__(self, n_processes: int, max_pixels: int, max_pages: int) -> None:
        self._free = asyncio.Semaphore(n_processes)
        self._free_for_pdf = asyncio.Semaphore(max(1, n_processes - 1))
        self._free_slow = asyncio.Semaphore(1)
        self._n_slow = 0
        self._idle: list[DecoderProcess] = []
        self._running: list[DecoderProcess] = []
        self.max_pixels = max_pixels
        self.max_pages = max_pages

    async def open(
        self, data: bytes, options: InputOptions, param: str, aside: Aside = nullcontext
    ) -> DecodedDocument:
        """Returns a document that is known to open.

        Args:
            data: Its bytes.
            options: Which pages are wanted, and how they are drawn.
            param: What it is called in the request.
            aside: See `Aside`.

        Raises:
            ApiError: It is damaged, of an unknown kind, too large, or has too many pages.
        """
        document = DecodedDocument(self, data, options, param)
        await document.open(aside)
        if len(document.numbers) > self.max_pages:
            raise ApiError(
                422,
                f"[{param}] expected at most {self.max_pages} pages; found "
                f"{len(document.numbers)}; ask for fewer with pages",
                "too_many_pages",
                param,
            )
        return document

    @asynccontextmanager
    async def lend(self, document: DecodedDocument) -> AsyncIterator[DecoderProcess]:
        """Lends a process, one that has the document open already if there is such."""
        async with AsyncExitStack() as stack:
            for queue in self._queues(document):
                await stack.enter_async_context(queue)
            decoder = self._pick(document) or await self._start(document.is_slow)
            try:
                yield decoder
            except BaseException as error:
                if isinstance(error, ApiError) and not isinstance(error, BrokenError):
                    self._idle.append(decoder)
                else:  # what it is at is not known
                    decoder.kill()
                raise
            self._idle.append(decoder)

    @asynccontextmanager
    async def slow_place(self, param: str) -> AsyncIterator[None]:
        """Counts one of the slow documents that are under way.

        Args:
            param: What it is called in the request.

        Raises:
            ApiError: 503 where there are too many others.
        """
        if self._n_slow == MAX_SLOW:
            raise ApiError(
                503,
                f"[{param}] expected a file that is decoded in little time, or few such "
                f"files at once; found more than {MAX_SLOW}; try again later",
                "decoders_busy",
                param,
                retry_after=round(PATIENT_S),
            )
        self._n_slow += 1
        try:
            yield
        finally:
            self._n_slow -= 1

    def _queues(self, document: DecodedDocument) -> list[asyncio.Semaphore]:
        """Returns what a document waits for, one after the other."""
        if document.is_slow:
            return [self._free_slow]
        return [self._free_for_pdf, self._free] if document.is_pdf else [self._free]

    def _pick(self, document: DecodedDocument) -> DecoderProcess | None:
        """Takes an idle process: the document's own, or else the one used last."""
        fit = [decoder for decoder in self._idle if decoder.is_patient == document.is_slow]
        own = [decoder for decoder in fit if decoder.holds is document.key]
        found = next(iter(own or reversed(fit)), None)
        if found is not None:
            self._idle.remove(found)
        return found

    async def start(self) -> None:
        """Starts the first process, so that nobody waits for it."""
        async with self._free:
            if not self._idle:
                self._idle.append(await self._start(is_patient=False))

    async def close(self) -> None:
        self._idle.clear()
        for decoder in self._running:
            decoder.kill()
            await decoder.ended()
        self._running.clear()

    async def _start(self, is_patient: bool) -> DecoderProcess:
        decoder = await DecoderProcess.start(self.max_pixels, is_patient)
        self._running = [known for known in self._running if not known.has_ended]
        self._running.append(decoder)
        return decoder
