"""A process that decodes (`crispvl.server.decoder`), as the server sees it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any, TypeAlias

import anyio

from crispvl import errors
from crispvl.server.errors import ApiError, as_api_error
from crispvl.server.process_limits import met_its_time

CLOCK_PER_CPU = 15
"""By the clock a process has so many times longer than of the CPU: others use that, too. Only this
limit holds where a system measures no time of a process."""

_BUFFER_BYTES = 1 << 20

Reply: TypeAlias = tuple[dict[str, Any], bytes]
"""What a process says, and the bytes that belong to it."""


class BrokenError(ApiError):
    """The process ended or hangs: it has met a file that breaks decoders."""

    def __init__(self, param: str) -> None:
        message = (
            f"[{param}] expected a file that can be decoded, in little time and memory; found "
            "another; save it again, or send its pages as pictures"
        )
        super().__init__(400, message, "invalid_image", param)


class SlowError(BrokenError):
    """The process has used up its time."""


class DecoderProcess:
    """A process, which may have a document open.

    Attributes:
        is_patient: Whether it leaves the CPU to others.
        holds: The key of its document.
    """

    def __init__(self, process: Process, is_patient: bool) -> None:
        self._process = process
        self.is_patient = is_patient
        self.holds: object = None

    @classmethod
    async def start(cls, max_pixels: int, is_patient: bool) -> DecoderProcess:
        """Starts one.

        Args:
            max_pixels: Of an image.
            is_patient: See `DecoderProcess`.
        """
        command = [sys.executable, "-m", "crispvl.server.decoder", str(max_pixels)]
        if is_patient:
            command.append("--patient")
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, limit=_BUFFER_BYTES
        )
        return cls(process, is_patient)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    async def ended(self) -> None:
        """Waits for its end."""
        await self._process.wait()

    async def ask(self, request: dict[str, Any], data: bytes, param: str) -> Reply:
        """Sends a request and returns the reply and its payload.

        Args:
            request: For `crispvl.server.decoder`.
            data: That belong to it.
            param: What the document is called in the client's request.

        Raises:
            ApiError: It cannot be decoded.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        head = json.dumps({**request, "n_bytes": len(data)}).encode() + b"\n"
        try:
            with anyio.fail_after(CLOCK_PER_CPU * request["cpu_limit_s"]):
                self._process.stdin.write(head + data)
                await self._process.stdin.drain()
                reply = json.loads(await self._process.stdout.readline())
                payload = await self._process.stdout.readexactly(reply["n_bytes"])
        except TimeoutError as error:
            raise SlowError(param) from error
        except (ValueError, OSError, EOFError) as error:
            raise await self._what_broke(param) from error
        if "error" not in reply:
            return reply, payload
        kind = getattr(errors, reply["error"], None)
        if kind is None:  # a range of pages that the document does not have
            raise ApiError(422, reply["message"], "invalid_pages", "pages")
        raise as_api_error(kind(reply["message"]), param)

    async def _what_broke(self, param: str) -> BrokenError:
        with anyio.move_on_after(1):  # one that only closed its output does not end
            await self._process.wait()
        return (SlowError if met_its_time(self._process.returncode) else BrokenError)(param)
