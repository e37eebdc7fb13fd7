"""Many answers at once: sequences join and leave between the decoder's steps.

A step appends a token to every answer under way, in one pass over the weights, and does one slice
of other work: a tile or a chunk of a prompt. So the next page is made ready while others are
written, and none of these waits for longer than a slice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from typing import Generic

from crispvl.engine.steps import Decode, Item, Work, perform

READ_AHEAD = 4
"""Per stream, tasks whose results may wait for those of a task before them."""


class _Running(Generic[Item]):
    """A task that was begun.

    Attributes:
        work: What it waits for; None once it is done.
        items: What it yielded and nobody has taken yet.
        error: What ended it.
    """

    def __init__(self, task: Generator[Work | Item, None, object]) -> None:
        self._task = task
        self.items: deque[Item] = deque()
        self.work: Work | None = None
        self.error: Exception | None = None
        self.advance()

    def advance(self) -> None:
        """Runs the task up to its next work."""
        self.work = None
        try:
            for item in self._task:
                if isinstance(item, Work):
                    self.work = item
                    return
                self.items.append(item)
        except Exception as error:
            self.error = error

    def close(self) -> None:
        self._task.close()


class Scheduler(Generic[Item]):
    """Runs tasks together and gives out what they yield, in the tasks' order.

    Tasks are begun in order, each only when those before it are being written or done: one is made
    ready at a time, and an iterator that makes tasks is asked no earlier.

    Args:
        tasks: Each yields `Work` and items.
        n_streams: Most tasks that run at once.
    """

    def __init__(
        self, tasks: Iterable[Generator[Work | Item, None, object]], n_streams: int
    ) -> None:
        self._tasks = iter(tasks)
        self._n_streams = n_streams
        self._begun: deque[_Running[Item]] = deque()
        self._has_more = True

    def __iter__(self) -> Generator[Item, None, None]:
        """Yields the items. An exception that ends a task is raised in its turn."""
        try:
            while self._begun or self._has_more:
                yield from self._ready()
                self._step()
        finally:
            self.close()

    def close(self) -> None:
        """Ends all tasks."""
        while self._begun:
            self._begun.popleft().close()

    def _ready(self) -> Iterator[Item]:
        while self._begun:
            first = self._begun[0]
            while first.items:
                yield first.items.popleft()
            if first.work is not None:
                return
            self._begun.popleft()
            if first.error is not None:
                raise first.error

    def _step(self) -> None:
        running = [task for task in self._begun if task.work is not None]
        if self._may_begin(running):
            with suppress(StopIteration):
                self._begun.append(_Running(next(self._tasks)))
                return
            self._has_more = False
        decoding = [task for task in running if isinstance(task.work, Decode)]
        others = [task for task in running if not isinstance(task.work, Decode)]
        chosen = decoding + others[:1]
        perform([task.work for task in chosen if task.work is not None])
        for task in chosen:
            task.advance()

    def _may_begin(self, running: list[_Running[Item]]) -> bool:
        return (
            self._has_more
            and len(running) < self._n_streams
            and len(self._begun) < READ_AHEAD * self._n_streams
            and all(isinstance(task.work, Decode) for task in running)
        )
