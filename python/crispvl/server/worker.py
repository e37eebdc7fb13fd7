"""What runs for a request, in a thread or in the engine, as an asynchronous iterator."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from crispvl.engine.engine import Engine
from crispvl.engine.handle import Handle
from crispvl.engine.request import Request
from crispvl.errors import Cancelled
from crispvl.server.errors import ApiError, shutting_down

if TYPE_CHECKING:
    from crispvl._core import CancelToken

Item = TypeVar("Item")


class Running(Generic[Item]):
    """What runs: its items come out of ``async for``, and in the end what it raised.

    That is an `ApiError` where the time limit or the end of the server stopped it. `give` and
    `finish` may be called from any thread.

    Attributes:
        ended: Holds what it raised, once it has ended, however much is still to be taken.

    Args:
        token: Stops it.
        time_limit: Seconds after which it is stopped.
    """

    def __init__(self, token: CancelToken, time_limit: float) -> None:
        self._token = token
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[Item | None] = asyncio.Queue()
        self.ended: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._reason: ApiError | None = None
        late = ApiError(
            408,
            f"[server] expected an answer within {time_limit:g} s; found it unfinished; ask for "
            "less",
            "deadline_exceeded",
        )
        self._timer = self._loop.call_later(time_limit, self.end, late)

    def __aiter__(self) -> Running[Item]:
        return self

    async def __anext__(self) -> Item:
        item = await self._items.get()
        if item is not None:
            return item
        error = await self.ended
        if isinstance(error, Cancelled):
            error = self._reason
        raise error or StopAsyncIteration

    def give(self, item: Item) -> None:
        with suppress(RuntimeError):  # the server has ended meanwhile
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)

    def finish(self, error: BaseException | None) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish, error)

    def _finish(self, error: BaseException | None) -> None:
        self.ended.set_result(error)
        self._items.put_nowait(None)

    def end(self, reason: ApiError) -> None:
        """Stops it; whoever iterates gets the reason."""
        self._reason = reason
        self._token.cancel()

    async def stop(self) -> None:
        """Stops it, and waits until it has stopped."""
        self._timer.cancel()
        if not self.ended.done():
            self._token.cancel()
        await asyncio.wait((self.ended,))


class Worker:
    """Runs things and knows all that run.

    Args:
        time_limit: Seconds that each may take.
        n_threads: Most that run in threads at once; further ones wait.
    """

    def __init__(self, time_limit: float, n_threads: int = 64) -> None:
        self._time_limit = time_limit
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix="crispvl-page")
        self._running: set[Running[Any]] = set()
        self._has_stopped = False

    @asynccontextmanager
    async def in_thread(
        self, work: Callable[[CancelToken, Callable[[Item], None]], None]
    ) -> AsyncIterator[Running[Item]]:
        """Runs a function in a thread while the context lasts.

        Args:
            work: Is called with a token, which makes it raise `Cancelled`, and with a function to
                give out items.
        """
        from crispvl._core import CancelToken

        token = CancelToken()
        async with self._known(Running[Item](token, self._time_limit)) as running:
            thread = self._threads.submit(work, token, running.give)
            thread.add_done_callback(lambda done: running.finish(_bare(done.exception())))
            yield running

    @asynccontextmanager
    async def in_engine(
        self, engine: Engine, request: Request, token: CancelToken
    ) -> AsyncIterator[tuple[Running[Any], Handle[Any]]]:
        """Has an engine answer a request while the context lasts.

        Args:
            engine: Answers.
            request: Has the token as its own, or as the parent of its own.
            token: Stops it.
        """

        def tell(event: Any) -> None:
            if isinstance(event, Handle):
                running.finish(event.error)
            else:
                running.give(event)

        async with self._known(Running[Any](token, self._time_limit)) as running:
            try:
                handle = engine.submit(request, tell, block=False)
            except BaseException as error:
                running.finish(error)
                raise
            yield running, handle

    @asynccontextmanager
    async def _known(self, running: Running[Item]) -> AsyncIterator[Running[Item]]:
        self._running.add(running)
        if self._has_stopped:
            running.end(shutting_down())
        try:
            yield running
        finally:
            await running.stop()
            self._running.discard(running)

    def stop(self) -> None:
        """Stops everything that runs, and what is begun later."""
        self._has_stopped = True
        for running in list(self._running):
            running.end(shutting_down())

    def close(self) -> None:
        self.stop()
        self._threads.shutdown(wait=True)


def _bare(error: BaseException | None) -> BaseException | None:
    """Lets go of what the frames of an error hold; where it came from can still be told.

    They hold pages, and what reads them, and would do so until the garbage of cycles is collected,
    which takes no notice of how large a page is.
    """
    one = error
    while one is not None:
        traceback.clear_frames(one.__traceback__)
        one = one.__cause__ or one.__context__
    return error
