"""Bodies within bounds, and requests that end when their caller is gone.

A body is read whole before anything is done with it. All bodies together are held to a number of
bytes: beyond it, a connection waits unread, and the network holds its caller back. Small bodies
have room of their own, as large ones are held for as long as their documents are read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crispvl.server.errors import ApiError

SLOWEST_BYTES_PER_S = 64 << 10
"""A body may take the time limit, and beyond it as long as it keeps this pace."""

BYTES_PER_S_WHEN_SCARCE = 1 << 20
"""The pace where others wait for room. So no few slow callers keep all others out."""

SMALL_PART = 64
"""A body is small up to this part of the largest."""

_GRACE_S = 2.0
_LOOK_S = 0.5
_DRAIN_S = 3.0
_RESOURCES = "crispvl.resources"


def resources(scope: Scope) -> AsyncExitStack:
    """Returns what is closed when a request ends, however it ends, a stream included."""
    stack: AsyncExitStack = scope[_RESOURCES]
    return stack


class Intake:
    """ASGI middleware: hands a request on with its whole body, and stops it when its caller goes.

    Args:
        app: What is behind it; its task is cancelled as soon as the connection is closed.
        max_bytes: Of one body.
        max_held_bytes: Of all bodies that are held at once, without small ones; these may take as
            much as one of the largest.
        time_limit: Seconds for a body to arrive.
        wait_limit: Seconds to wait for room.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        max_held_bytes: int,
        time_limit: float,
        wait_limit: float,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._room = _Room(max(max_bytes, max_held_bytes), wait_limit)
        self._small_room = _Room(max_bytes, wait_limit)
        self._time_limit = time_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            n_bytes = self._announced(Headers(scope=scope))
            is_small = n_bytes <= self._max_bytes // SMALL_PART
            room = self._small_room if is_small else self._room
            async with room.hold(n_bytes) as share:
                body = await self._read(receive, share) if n_bytes else b""
                if body is not None:
                    share.keep(len(body))
                    await _run_until_gone(self._app, scope, body, receive, send)
        except ApiError as error:
            await _refuse(error, scope, receive, send)

    def _announced(self, headers: Headers) -> int:
        """Returns how many bytes to make room for; those of a chunked body are not known."""
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise ApiError(
                415,
                "[content-encoding] expected an uncompressed body; found a compressed one; send it "
                "uncompressed",
                "unsupported_encoding",
            )
        if "transfer-encoding" in headers:
            if "content-length" in headers:  # two servers in a row might not agree where it ends
                raise ApiError(
                    400,
                    "[content-length] expected one length of the body; found two; send one",
                    "bad_request",
                )
            return self._max_bytes
        try:
            n_bytes = int(headers.get("content-length", "0"))
        except ValueError:
            raise ApiError(
                400,
                "[content-length] expected a number; found something else; correct it",
                "bad_request",
            ) from None
        if n_bytes > self._max_bytes:
            raise self._too_large()
        return n_bytes

    async def _read(self, receive: Receive, share: _Share) -> bytes | None:
        """Returns the body; None where the caller went away."""
        end = time.monotonic() + self._time_limit
        body = bytearray()
        with share.arriving:
            while True:
                left = end + len(body) / SLOWEST_BYTES_PER_S - time.monotonic()
                try:
                    with anyio.fail_after(left):
                        message = await receive()
                except TimeoutError:
                    break
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                share.n_arrived = len(body)
                if len(body) > self._max_bytes:
                    raise self._too_large()
                if not message.get("more_body", False):
                    return bytes(body)
        raise ApiError(
            408,
            "[body] expected it within the time limit; found it incomplete; send it again",
            "body_timeout",
        )

    def _too_large(self) -> ApiError:
        mib = self._max_bytes / (1 << 20)
        return ApiError(
            413, f"[body] expected at most {mib:g} MiB; found more; send less", "body_too_large"
        )


class _Share:
    """Room for one body, until its request is done.

    Attributes:
        n_bytes: That it takes of the room.
        n_arrived: Bytes that have come.
        arriving: What is cancelled where the body comes too slowly while others wait for room.
    """

    def __init__(self, room: _Room, n_bytes: int) -> None:
        self._room = room
        self._begun = time.monotonic()
        self._has_arrived = False
        self.n_bytes = n_bytes
        self.n_arrived = 0
        self.arriving = anyio.CancelScope()

    def keep(self, n_bytes: int) -> None:
        """Gives back what the body, which has come, does not need."""
        self._has_arrived = True
        self._room.give_back(self.n_bytes - n_bytes)
        self.n_bytes = n_bytes

    def give_way(self) -> None:
        """Lets a body go that does not come at the pace it has to when room is scarce."""
        due = _GRACE_S + self.n_arrived / BYTES_PER_S_WHEN_SCARCE
        if not self._has_arrived and time.monotonic() - self._begun > due:
            self.arriving.cancel()


class _Room:
    """Bytes that may be held; who comes first gets them first."""

    def __init__(self, n_bytes: int, wait_limit: float) -> None:
        self._free = n_bytes
        self._wait_limit = wait_limit
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()
        self._shares: set[_Share] = set()

    @asynccontextmanager
    async def hold(self, n_bytes: int) -> AsyncIterator[_Share]:
        if n_bytes:
            try:
                with anyio.fail_after(self._wait_limit):
                    await self._take(n_bytes)
            except TimeoutError:
                raise ApiError(
                    503,
                    "[server] expected fewer requests at once; found too many; try again later",
                    "overloaded",
                    retry_after=30,
                ) from None
        share = _Share(self, n_bytes)
        self._shares.add(share)
        try:
            yield share
        finally:
            self._shares.discard(share)
            self.give_back(share.n_bytes)

    def give_back(self, n_bytes: int) -> None:
        self._free += n_bytes
        self._freed.set()

    async def _take(self, n_bytes: int) -> None:
        async with self._turn:
            while self._free < n_bytes:
                for share in self._shares:
                    share.give_way()
                self._freed.clear()
                with anyio.move_on_after(_LOOK_S):
                    await self._freed.wait()
            self._free -= n_bytes


async def _run_until_gone(
    app: ASGIApp, scope: Scope, body: bytes, receive: Receive, send: Send
) -> None:
    """Runs an application on a body that was read, until it is done or nobody waits for it."""
    left = [body]
    never = asyncio.Event()

    async def replay() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        await never.wait()
        return {"type": "http.disconnect"}

    async def wait_until_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def run() -> None:
        async with AsyncExitStack() as stack:
            scope[_RESOURCES] = stack
            await app(scope, replay, send)

    running = asyncio.ensure_future(run())
    gone = asyncio.ensure_future(wait_until_gone())
    try:
        await asyncio.wait((running, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if running.done():
            running.result()
        else:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def _refuse(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers before the body has come, and takes in some of the rest.

    A connection that is closed with bytes unread is reset, and the caller would not see the answer.
    """
    response = error.response()
    response.headers["connection"] = "close"
    await send(
        {"type": "http.response.start", "status": error.status, "headers": response.raw_headers}
    )
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with anyio.move_on_after(_DRAIN_S):
        await _drain(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drain(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return
