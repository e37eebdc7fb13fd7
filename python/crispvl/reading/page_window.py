"""Pages that are read at the same time, and reported one after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from typing import Any, Generic, TypeAlias, TypeVar

from crispvl.engine.engine import Engine
from crispvl.engine.handle import Handle
from crispvl.engine.waiting import Until

READ_AHEAD = 4
"""Per stream, pages whose results may wait for those of a page before them."""

Item = TypeVar("Item")

ReadingSteps: TypeAlias = Generator[Handle[Any] | Item, None, None]
"""Yields the request that it waits for, and what happens."""


class _Reading(Generic[Item]):
    """A page that was begun.

    Attributes:
        awaited: The request it waits for; None once it is done.
        items: What happened and nobody has taken yet.
        error: What ended it.
    """

    def __init__(self, steps: ReadingSteps[Item]) -> None:
        self._steps = steps
        self.items: deque[Item] = deque()
        self.awaited: Handle[Any] | None = None
        self.error: Exception | None = None
        self.advance()

    def advance(self) -> None:
        """Goes on until it waits again."""
        self.awaited = None
        try:
            for item in self._steps:
                if isinstance(item, Handle):
                    self.awaited = item
                    return
                self.items.append(item)
        except Exception as error:
            self.error = error

    def close(self) -> None:
        self._steps.close()


class PageWindow(Generic[Item]):
    """Reads pages together and gives out what they tell, in the pages' order.

    Pages are begun in order, each only when the prompts of those before it are done: one is made
    ready at a time, and an iterator that makes pages is asked no earlier.

    Args:
        engine: Answers what the pages ask.
        pages: Each goes on in this thread, and waits for the engine.
        n_streams: Most pages that are read at once.
        until: Asked what news of a page it has to go on for.
    """

    def __init__(
        self,
        engine: Engine,
        pages: Iterable[ReadingSteps[Item]],
        n_streams: int,
        until: Callable[[], Until],
    ) -> None:
        self._engine = engine
        self._pages = iter(pages)
        self._n_streams = n_streams
        self._until = until
        self._begun: deque[_Reading[Item]] = deque()
        self._has_more = True

    def __iter__(self) -> Generator[Item, None, None]:
        """Yields the items. An exception that ends a page is raised in its turn."""
        try:
            while self._begun or self._has_more:
                yield from self._ready()
                self._go_on()
        finally:
            self.close()

    def close(self) -> None:
        """Ends all pages."""
        while self._begun:
            self._begun.popleft().close()

    def _ready(self) -> Iterator[Item]:
        while self._begun:
            first = self._begun[0]
            while first.items:
                yield first.items.popleft()
            if first.awaited is not None:
                return
            self._begun.popleft()
            if first.error is not None:
                raise first.error

    def _go_on(self) -> None:
        waiting = {page: page.awaited for page in self._begun if page.awaited is not None}
        if self._may_begin(waiting.values()):
            with suppress(StopIteration):
                self._begun.append(_Reading(next(self._pages)))
                return
            self._has_more = False
        if waiting:
            self._engine.wait(list(waiting.values()), self._until())
        for page, awaited in waiting.items():
            if awaited.has_news:
                page.advance()

    def _may_begin(self, awaited: Iterable[Handle[Any]]) -> bool:
        states = [handle.state for handle in awaited]
        return (
            self._has_more
            and len(states) < self._n_streams
            and len(self._begun) < READ_AHEAD * self._n_streams
            and all(state in ("decoding", "done") for state in states)
        )
