"""Documents decoded in processes of their own (`crispvl.server.decoder`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from PIL import Image

from crispvl import errors
from crispvl.inputs.damage import DAMAGED
from crispvl.options import InputOptions
from crispvl.server.errors import ApiError, as_api_error

TIME_LIMIT_S = 30.0
"""For opening a document, and for each of its pages; the process itself has a limit of its CPU's
time, which is met before unless the machine is busy."""

_BUFFER_BYTES = 1 << 20


@dataclass
class _Decoder:
    """A process, and the key of the document that it has open."""

    process: Process
    holds: object = None

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()


class DecodedDocument:
    """A document whose pages are decoded as they are asked for.

    It keeps no process to itself between its pages, so that a long document holds up nobody.

    Attributes:
        numbers: Of the pages asked for, counted from 1.
        n_pages: How many the document has.
    """

    def __init__(self, pool: DecoderPool, data: bytes, options: InputOptions, param: str) -> None:
        self._pool = pool
        self._data = data
        self._param = param
        self.key = object()
        self._request = {
            "do": "open",
            "dpi": options.dpi,
            "password": options.password,
            "pages": options.pages,
        }
        self.numbers: list[int] = []
        self.n_pages = 0

    async def open(self) -> None:
        async with self._pool.lend(self) as decoder:
            await self._open_in(decoder)

    async def page(self, number: int) -> Image.Image:
        """Returns a page as RGB, which says in its ``info`` whether its data is damaged.

        Raises:
            ApiError: It is damaged or too large.
        """
        async with self._pool.lend(self) as decoder:
            if decoder.holds is not self.key:
                await self._open_in(decoder)
            request = {"do": "page", "number": number}
            reply, pixels = await _ask(decoder.process, request, b"", self._param)
        size = int(reply["width"]), int(reply["height"])
        image = Image.frombytes("RGB", size, pixels)
        if reply["damaged"]:
            image.info[DAMAGED] = True
        return image

    async def _open_in(self, decoder: _Decoder) -> None:
        decoder.holds = None
        reply, _ = await _ask(decoder.process, self._request, self._data, self._param)
        decoder.holds = self.key
        self.numbers, self.n_pages = reply["numbers"], reply["n_pages"]


class DecoderPool:
    """Processes that decode, started when they are needed and used again.

    Args:
        n_processes: Most of them.
        max_pixels: Of an image.
        max_pages: Of a request.
    """

    def __init__(self, n_processes: int, max_pixels: int, max_pages: int) -> None:
        self._free = asyncio.Semaphore(n_processes)
        self._idle: list[_Decoder] = []
        self.max_pixels = max_pixels
        self.max_pages = max_pages

    async def open(self, data: bytes, options: InputOptions, param: str) -> DecodedDocument:
        """Returns a document that is known to open.

        Args:
            data: Its bytes.
            options: Which pages are wanted, and how they are drawn.
            param: What it is called in the request.

        Raises:
            ApiError: It is damaged, of an unknown kind, too large, or has too many pages.
        """
        document = DecodedDocument(self, data, options, param)
        await document.open()
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
    async def lend(self, document: DecodedDocument) -> AsyncIterator[_Decoder]:
        """Lends a process, one that has the document open already if there is such."""
        async with self._free:
            decoder = self._pick(document) or _Decoder(await self._start())
            try:
                yield decoder
            except BaseException as error:
                if isinstance(error, ApiError) and not isinstance(error, _BrokenError):
                    self._idle.append(decoder)
                else:  # what it is at is not known
                    decoder.kill()
                raise
            self._idle.append(decoder)

    def _pick(self, document: DecodedDocument) -> _Decoder | None:
        """Takes an idle process: the document's own, or else the one used last."""
        own = [decoder for decoder in self._idle if decoder.holds is document.key]
        found = next(iter(own or reversed(self._idle)), None)
        if found is not None:
            self._idle.remove(found)
        return found

    async def start(self) -> None:
        """Starts the first process, so that nobody waits for it."""
        async with self._free:
            if not self._idle:
                self._idle.append(_Decoder(await self._start()))

    async def close(self) -> None:
        for decoder in self._idle:
            decoder.kill()
            await decoder.process.wait()
        self._idle.clear()

    async def _start(self) -> Process:
        command = sys.executable, "-m", "crispvl.server.decoder", str(self.max_pixels)
        return await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, limit=_BUFFER_BYTES
        )


class _BrokenError(ApiError):
    """The process ended or hangs: it has met a file that breaks decoders."""

    def __init__(self, param: str) -> None:
        message = (
            f"[{param}] expected a file that can be decoded, in little time and memory; found "
            "another; save it again, or send its pages as pictures"
        )
        super().__init__(400, message, "invalid_image", param)


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
