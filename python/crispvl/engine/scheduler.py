"""Which of many tasks are under way, and whose work a step of the engine does.

A step appends a token to every answer under way, in one pass over the weights, and does one slice
of other work: some tiles or a chunk of a prompt. So the next page is made ready while others are
written, and none of these waits for longer than a slice.

Whose slice comes next is decided by fair queueing (Demers, Keshav and Shenker 1989): tasks are
ordered by the prompt tokens that were done when they came plus their own. A crop overtakes a long
page, a page is overtaken by no more than its own length, and equals are first come, first served.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import Any

from crispvl.engine.running import Running
from crispvl.engine.steps import Decode

MAX_PLACES = 16
"""Most answers under way. A pass of more tokens takes the way of prompts; see `MAX_ROWS`."""


class Scheduler:
    """Keeps the queue and the places. It has no threads and no locks of its own.

    Args:
        n_places: Most tasks that are under way at once.
        max_tokens: Most tokens that their sessions hold together. A task without others may have
            more.

    Attributes:
        changed: Tasks with new events, in another state or ended; who reads it empties
            it.
    """

    def __init__(self, n_places: int, max_tokens: int) -> None:
        self._n_places = n_places
        self._max_tokens = max_tokens
        self._places: list[Running[Any]] = []
        self._queue: list[tuple[tuple[int, int], Running[Any]]] = []  # a heap
        self._n_prompt_done = 0
        self._numbers = count()
        self.changed: list[Running[Any]] = []
        self._left_behind: list[Running[Any]] = []

    @property
    def n_queued(self) -> int:
        return len(self._queue)

    @property
    def n_running(self) -> int:
        return len(self._places)

    def add(self, running: Running[Any]) -> None:
        """Puts a task into the queue."""
        finish = self._n_prompt_done + running.task.n_prompt
        running.order = finish, next(self._numbers)
        heapq.heappush(self._queue, (running.order, running))

    def choose(self, n_lanes: int = 1) -> list[Running[Any]]:
        """Returns those whose work is done next, together.

        Args:
            n_lanes: Threads among which the work is shared out; what is in a pass is another's.
        """
        sliced = self._next_slice()
        decoding = [running for running in self._places if isinstance(running.work, Decode)]
        free = [running for running in decoding if not running.in_pass]
        return free[: -(-len(decoding) // n_lanes)] + ([] if sliced is None else [sliced])

    def advance(self, running: Running[Any]) -> None:
        """Lets a task go on whose work was done."""
        before = running.state
        running.advance()
        self._note(running, before)

    def stop(self, running: Running[Any], error: BaseException | None = None) -> None:
        """Ends a task whose work is not being done right now; its place is free."""
        before = running.state
        if before == "queued":
            self._queue.remove((running.order, running))
            heapq.heapify(self._queue)
        running.stop(error)
        self._note(running, before)

    def queued(self) -> list[Running[Any]]:
        return [running for _, running in self._queue]

    def live(self) -> list[Running[Any]]:
        """Returns all tasks that have not ended."""
        return self._places + self.queued()

    def leave_behind(self, error: BaseException) -> None:
        """Gives all tasks up, in a process that was forked from theirs, without ending them.

        They are never freed here, as what was at work when the process forked cannot be ended.
        """
        for running in self.live():
            running.state, running.error = "done", error
            self._left_behind.append(running)
        self._places, self._queue, self.changed = [], [], []

    def _next_slice(self) -> Running[Any] | None:
        while True:
            preparing = (r for r in self._places if r.is_preparing and not r.in_pass)
            first = min(preparing, key=lambda running: running.order, default=None)
            queued = self._queue[0][1] if self._queue else None
            is_next = queued is not None and (first is None or queued.order < first.order)
            if queued is None or not is_next or not self._has_room(queued):
                return first
            heapq.heappop(self._queue)
            self._places.append(queued)
            self.advance(queued)

    def _has_room(self, queued: Running[Any]) -> bool:
        if len(self._places) >= self._n_places:
            return False
        n_held = sum(running.task.n_tokens for running in self._places)
        return not self._places or n_held + queued.task.n_tokens <= self._max_tokens

    def _note(self, running: Running[Any], before: str) -> None:
        is_ready = running.state in ("decoding", "done")
        if before in ("queued", "preparing") and is_ready:
            self._n_prompt_done += running.task.n_prompt
        if running.is_done and running in self._places:
            self._places.remove(running)
        if running.state != before:
            running.has_moved = True
        if running.events or running.state != before:
            self.changed.append(running)
