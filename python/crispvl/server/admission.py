"""Turns: how many answers are written at once, and how many requests may wait for that."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from crispvl.server.errors import ApiError, shutting_down

MAX_RETRY_AFTER_S = 60
"""OpenAI's clients heed no longer one."""


class Turn:
    """One turn.

    Attributes:
        queue_ms: How long it was waited for.
    """

    def __init__(self, admission: Admission, asked: float) -> None:
        self._admission = admission
        self.queue_ms = 0.0
        self._begin(asked)

    def _begin(self, asked: float) -> None:
        self._begun = time.monotonic()
        self._has_ended = False
        self.queue_ms += 1000 * (self._begun - asked)
        self._admission.begin()

    def end(self) -> None:
        """Ends it, as soon as nothing is written any more, however long that takes to send."""
        if not self._has_ended:
            self._has_ended = True
            self._admission.end(time.monotonic() - self._begun)

    @asynccontextmanager
    async def given_up(self) -> AsyncIterator[None]:
        """Lets others have it meanwhile, and waits for another one in the end.

        It has ended where something is raised meanwhile.

        Raises:
            ApiError: 503 where no other one came in time, or where there are no more.
        """
        self.end()
        yield
        asked = time.monotonic()
        await self._admission.wait()
        self._begin(asked)


class Admission:
    """Gives turns in the order of arrival.

    A request that is cancelled while it waits, or while it has its turn, gives its place back.

    Args:
        n_running: Most turns at once.
        n_waiting: Most requests that wait; a further one is refused, to be sent again later.
        time_limit: Most seconds to wait.
    """

    def __init__(self, n_running: int, n_waiting: int, time_limit: float) -> None:
        self.n_places = n_running
        self._turns = asyncio.Semaphore(n_running)
        self._n_most_waiting = n_waiting
        self._time_limit = time_limit
        self._waiting: set[anyio.CancelScope] = set()
        self._is_closed = False
        self.n_running = 0
        self._mean_s = 1.0

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        """Gives no more turns; who waits for one is told so."""
        self._is_closed = True
        for waiting in self._waiting:
            waiting.cancel()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Waits for a turn, and yields it. It ends with the context, if it has not ended before.

        Raises:
            ApiError: 429 where too many wait already, 503 where the turn did not come in time,
                or where there are no more.
        """
        started = time.monotonic()
        if self._turns.locked() and self.n_waiting >= self._n_most_waiting and not self._is_closed:
            raise ApiError(
                429,
                "[server] expected a free place in the queue; found it full; try again later",
                "queue_full",
                retry_after=self._retry_after(),
            )
        await self.wait()
        turn = Turn(self, started)
        try:
            yield turn
        finally:
            turn.end()

    def begin(self) -> None:
        """Counts a turn that begins."""
        self.n_running += 1

    def end(self, seconds: float) -> None:
        """Gives a turn to who is next."""
        self.n_running -= 1
        self._turns.release()
        self._mean_s += 0.1 * (seconds - self._mean_s)

    async def wait(self) -> None:
        """Waits until a turn may begin, however many others wait for that.

        Raises:
            ApiError: 503 where that did not come in time, or where there are no more turns.
        """
        if self._is_closed:
            raise shutting_down()
        with anyio.move_on_after(self._time_limit) as waiting:
            self._waiting.add(waiting)
            try:
                await self._turns.acquire()
            finally:
                self._waiting.discard(waiting)
            return
        if self._is_closed:
            raise shutting_down()
        raise ApiError(
            503,
            "[server] expected a turn within the time limit; found none; try again later",
            "queue_timeout",
            retry_after=self._retry_after(),
        )

    def _retry_after(self) -> int:
        """Returns seconds until the queue of now will have been worked off."""
        seconds = self._mean_s * (self.n_waiting + 1) / self.n_places
        return max(1, min(MAX_RETRY_AFTER_S, math.ceil(seconds)))
