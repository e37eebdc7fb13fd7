"""Documents decoded in processes of their own (`crispvl.server.decoder`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from PIL import Image

from crispvl import errors
from crispvl.options import InputOptions
from crispvl.server.errors import ApiError, as_api_error

TIME_LIMIT_S = 30.0
"""For opening a document, and for each of its pages."""

_BUFFER_BYTES = 1 << 20


class DecodedDocument:
    """A document that a process holds open. Its pages are decoded as they are asked for.

    Attributes:
        numbers: Of the pages asked for, counted from 1.
        n_pages: How many the document has.
    """

    def __init__(self, process: Process, opened: dict[str, Any], param: str) -> None:
        self._process = process
        self._param = param
        self.numbers: list[int] = opened["numbers"]
        self.n_pages: int = opened["n_pages"]

    async def page(self, number: int) -> Image.Image:
        """Returns a page as RGB.

        Raises:
            ApiError: It is damaged or too large.
        """
        request = {"do": "page", "number": number}
        reply, pixels = await _ask(self._process, request, b"", self._param)
        size = int(reply["width"]), int(reply["height"])
        return Image.frombytes("RGB", size, pixels)


class DecoderPool:
    """Processes that decode, started when they are needed and used again.

    Args:
        n_processes: Most of them.
        max_pixels: Of an image.
        max_pages: Of a request.
    """

    def __init__(self, n_processes: int, max_pixels: int, max_pages: int) -> None:
        self._free = asyncio.Semaphore(n_processes)
        self._idle: list[Process] = []
        self._max_pixels = max_pixels
        self.max_pages = max_pages

    @asynccontextmanager
    async def open(
        self, data: bytes, options: InputOptions, param: str
    ) -> AsyncIterator[DecodedDocument]:
        """Opens a document while the context lasts.

        Args:
            data: Its bytes.
            options: Which pages are wanted, and how they are drawn.
            param: What it is called in the request.

        Raises:
            ApiError: It is damaged, of an unknown kind, too large, or has too many pages.
        """
        async with self._free:
            process = self._idle.pop() if self._idle else await self._start()
            try:
                yield await self._open(process, data, options, param)
            except BaseException as error:
                if isinstance(error, ApiError) and not isinstance(error, _BrokenError):
                    self._idle.append(process)
                else:  # what it is at is not known
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                raise
            self._idle.append(process)

    async def start(self) -> None:
        """Starts the first process, so that nobody waits for it."""
        async with self._free:
            if not self._idle:
                self._idle.append(await self._start())

    async def close(self) -> None:
        for process in self._idle:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._idle.clear()

    async def _start(self) -> Process:
        command = sys.executable, "-m", "crispvl.server.decoder", str(self._max_pixels)
        return await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, limit=_BUFFER_BYTES
        )

    async def _open(
        self, process: Process, data: bytes, options: InputOptions, param: str
    ) -> DecodedDocument:
        request = {
            "do": "open",
            "dpi": options.dpi,
            "password": options.password,
            "pages": options.pages,
        }
        reply, _ = await _ask(process, request, data, param)
        document = DecodedDocument(process, reply, param)
        if len(document.numbers) > self.max_pages:
            raise ApiError(
                422,
                f"{param}: at most {self.max_pages} pages are expected; found "
                f"{len(document.numbers)}; ask for fewer with pages.",
                "too_many_pages",
                param,
            )
        return document


class _BrokenError(ApiError):
    """The process ended or hangs: it has met a file that breaks decoders."""

    def __init__(self, param: str) -> None:
        super().__init__(400, f"{param}: it cannot be decoded.", "invalid_image", param)


async def _ask(
    process: Process, request: dict[str, Any], data: bytes, param: str
) -> tuple[dict[str, Any], bytes]:
    """Sends a request and returns the reply and its payload."""
    assert process.stdin is not None
    assert process.stdout is not None
    head = json.dumps({**request, "n_bytes": len(data)}).encode() + b"\n"
    try:
        with anyio.fail_after(TIME_LIMIT_S):
            process.stdin.write(head + data)
            await process.stdin.drain()
            reply = json.loads(await process.stdout.readline())
            payload = await process.stdout.readexactly(reply["n_bytes"])
    except (ValueError, OSError, EOFError, TimeoutError) as error:
        raise _BrokenError(param) from error
    if "error" not in reply:
        return reply, payload
    kind = getattr(errors, reply["error"], None)
    if kind is None:  # a range of pages that the document does not have
        raise ApiError(422, reply["message"], "invalid_pages", "pages")
    raise as_api_error(kind(reply["message"]), param)
