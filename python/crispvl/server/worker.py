"""Blocking work in threads, which can be cancelled, and what it gives out in asynchronous code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from crispvl.errors import Cancelled
from crispvl.server.errors import ApiError

if TYPE_CHECKING:
    from crispvl._core import CancelToken

Item = TypeVar("Item")


class _End:
    """Comes after the last item."""


_END = _End()


_SHUTTING_DOWN = ApiError(503, "The server is shutting down.", "shutting_down", retry_after=10)


class Running(Generic[Item]):
    """Work that a thread does.

    What it gives out and raises comes out of ``async for``; an `ApiError` where the time limit or
    the end of the server stopped it.
    """

    def __init__(
        self,
        work: Callable[[CancelToken, Callable[[Item], None]], None],
        threads: ThreadPoolExecutor,
        time_limit: float,
    ) -> None:
        from crispvl._core import CancelToken

        self._token = CancelToken()
        self._items: asyncio.Queue[Item | _End] = asyncio.Queue()
        self._reason: ApiError | None = None
        loop = asyncio.get_running_loop()

        def give(item: Item) -> None:
            loop.call_soon_threadsafe(self._items.put_nowait, item)

        late = ApiError(408, f"The answer took over {time_limit:g} s.", "deadline_exceeded")
        self._timer = loop.call_later(time_limit, self.end, late)
        self._thread = loop.run_in_executor(threads, work, self._token, give)
        self._thread.add_done_callback(lambda _: self._items.put_nowait(_END))

    def __aiter__(self) -> Running[Item]:
        return self

    async def __anext__(self) -> Item:
        item = await self._items.get()
        if not isinstance(item, _End):
            return item
        try:
            await self._thread
        except Cancelled:
            raise self._reason or StopAsyncIteration from None
        raise StopAsyncIteration

    def end(self, reason: ApiError) -> None:
        """Stops it; whoever iterates is told why."""
        self._reason = reason
        self._token.cancel()

    async def stop(self) -> None:
        """Stops it, and waits until it has stopped."""
        self._timer.cancel()
        self._token.cancel()
        await asyncio.wait((self._thread,))
        if not self._thread.cancelled():
            self._thread.exception()  # looked at, so that nobody is told it was not


class Worker:
    """Runs what blocks: a thread for each answer that is being written.

    Args:
        time_limit: Seconds that one run may take.
        n_threads: Most of them; further runs wait.
    """

    def __init__(self, time_limit: float, n_threads: int = 64) -> None:
        self._time_limit = time_limit
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix="crispvl-answer")
        self._running: set[Running[Any]] = set()

    @asynccontextmanager
    async def run(
        self, work: Callable[[CancelToken, Callable[[Item], None]], None]
    ) -> AsyncIterator[Running[Item]]:
        """Runs in a thread while the context lasts.

        Args:
            work: Called in the thread with a token, which makes it raise `Cancelled`, and with a
                function to give out items.
        """
        running = Running(work, self._threads, self._time_limit)
        self._running.add(running)
        try:
            yield running
        finally:
            await running.stop()
            self._running.discard(running)

    def stop(self) -> None:
        """Stops everything that runs; each run ends with an `ApiError` that says why."""
        for running in list(self._running):
            running.end(_SHUTTING_DOWN)

    def close(self) -> None:
        self.stop()
        self._threads.shutdown(wait=True)
