"""What whoever submitted a request holds of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic

from crispvl.engine.running import Running, State, TaskEvent
from crispvl.engine.steps import Result
from crispvl.engine.token_stream import Token
from crispvl.engine.waiting import Waiter

if TYPE_CHECKING:
    from crispvl.engine.loop import Loop


class Handle(Generic[Result]):
    """A request that an engine answers. Any thread may use it; one at a time iterates.

    The answer may be read token by token, by ``for`` or ``async for``, or awaited as a whole. The
    model runs while somebody waits for it or for any other request; once ``async for`` has begun,
    or with a listener, it runs by itself. A handle that is dropped cancels its request.

    Example:
        >>> with engine.submit(request) as handle:
        ...     for token in handle:
        ...         print(token.text, end="")
    """

    def __init__(self, loop: Loop, running: Running[Result]) -> None:
        self._loop = loop
        self.running = running

    @property
    def state(self) -> State:
        """``queued``, ``preparing`` (its prompt is being read), ``decoding`` or ``done``."""
        return self.running.state

    @property
    def done(self) -> bool:
        """Whether it has ended, however that was."""
        return self.running.is_done

    @property
    def has_news(self) -> bool:
        """Whether it has ended, or has events that were not taken."""
        return self.done or bool(self.running.events) or self.running.has_moved

    @property
    def error(self) -> BaseException | None:
        """What ended it before its time; None where nothing did, or not yet."""
        return self.running.error

    @property
    def partial(self) -> Result:
        """The result as far as it is known."""
        with self._loop.lock:
            return self.running.task.result

    def result(self, timeout: float | None = None) -> Result:
        """Waits for the end and returns the result.

        Args:
            timeout: Most seconds to wait; the request goes on.

        Raises:
            TimeoutError: It has not ended by then.
            Cancelled: It was cancelled; ``partial`` is what there is. An answer whose time limit
                has passed has a result, which says so.
            Exception: What went wrong.
        """
        if not self._loop.wait(Waiter([self.running], "end"), timeout):
            raise TimeoutError(
                f"[engine] expected an answer within {timeout} s; found it {self.state}; wait "
                "again, or cancel it"
            )
        self.check()
        return self.running.task.result

    def cancel(self) -> None:
        """Ends the request: at once where it is queued, or else within a layer or a token.

        Its place is free for the next step. No other request is touched.
        """
        # Without a lock: a finaliser may run this wherever memory is allocated.
        running = self.running
        if not running.is_done:
            if not running.task.cancel.cancelled:  # or else it is known why it ends
                running.task.cancel.cancel()
            self._loop.ring()

    close = cancel

    def take(self) -> list[TaskEvent]:
        """Returns the events since the last time, without waiting."""
        with self._loop.lock:
            return self.running.take()

    def listen(self, on_event: Callable[[Any], object]) -> None:
        """Has the request run by itself, even where the handle is dropped.

        Args:
            on_event: Called by the engine's thread with each event that was not taken yet and those
                that follow, and with the handle at the end.
        """
        self._loop.listen(self.running, lambda event: on_event(self if event is None else event))

    def check(self) -> None:
        """Raises what ended the request before its time, if anything did."""
        if self.running.error is not None:
            raise self.running.error

    def events(self) -> Iterator[TaskEvent]:
        """Yields what happens: tiles that were encoded, and tokens.

        Raises:
            Cancelled: As for `result`.
        """
        while True:
            # Asked first: events before the end are there when the end is seen.
            is_done = self.done
            while self.running.events:
                yield self.running.events.popleft()
            if is_done:
                self.check()
                return
            self.running.has_moved = False
            self._loop.wait(Waiter([self.running], "event"))

    def __iter__(self) -> Iterator[Token]:
        return (event for event in self.events() if isinstance(event, Token))

    async def __aiter__(self) -> AsyncIterator[Token]:
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Any] = asyncio.Queue()

        def tell(event: Any) -> None:
            with suppress(RuntimeError):  # the loop was closed in the meantime
                loop.call_soon_threadsafe(events.put_nowait, event)

        self.listen(tell)
        try:
            while (event := await events.get()) is not self:
                if isinstance(event, Token):
                    yield event
            self.check()
        finally:
            self.cancel()

    def __enter__(self) -> Handle[Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def __del__(self) -> None:
        # Of a handle whose making failed there is nothing to cancel.
        if hasattr(self, "running"):
            self.cancel()
