"""Work for the engine, asked for instead of done: what lets many answers share one batch.

Whoever needs the model is a generator that yields `Work` and goes on once it was performed. For a
single answer `run_alone` performs it at once; `crispvl.engine.scheduler` collects that of many.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from crispvl.errors import Cancelled

if TYPE_CHECKING:
    from crispvl._core import CancelToken, Session

Item = TypeVar("Item")
Result = TypeVar("Result")


class Work:
    """Something for the engine to do.

    Attributes:
        ms: What it took, in milliseconds; of work done for several together, its share.
        error: What went wrong.
    """

    def __init__(self) -> None:
        self.ms = 0.0
        self.error: Exception | None = None

    def check(self) -> None:
        """Raises what went wrong."""
        if self.error is not None:
            raise self.error


MAX_ROWS = 16
"""Tokens in one pass that are computed as a single one is; more would take the way of prompts."""


class Decode(Work):
    """Tokens that a session appends; sessions may do so in one pass over the weights.

    Args:
        session: Appends them.
        ids: What it appends.
        cancel: Stops the pass.
        n_needed: How many of the ids have to be appended; the others are left out, from the end,
            where a pass has no room for them. None means all.
    """

    def __init__(
        self,
        session: Session,
        ids: list[int],
        cancel: CancelToken | None,
        n_needed: int | None = None,
    ) -> None:
        super().__init__()
        self.session = session
        self.ids = ids
        self.cancel = cancel
        self._n_needed = len(ids) if n_needed is None else n_needed

    def shorten(self, n_rows: int) -> None:
        """Leaves out what is beyond a number of ids, as far as it is not needed."""
        del self.ids[max(n_rows, self._n_needed) :]


class Slice(Work):
    """A bounded stretch of other work: a tile to encode, a chunk of a prompt."""

    def __init__(self, run: Callable[[], None]) -> None:
        super().__init__()
        self.run = run


@dataclass(frozen=True)
class Encoded:
    """Some more tiles of a prompt were encoded."""

    n_done: int
    n_tiles: int


Steps: TypeAlias = Generator[Work, None, Result]
"""Yields work, and returns a result in the end."""


def perform(works: Sequence[Work]) -> None:
    """Does work, `Decode` of all together first; what fails holds its error."""
    decodes = [work for work in works if isinstance(work, Decode)]
    if decodes:
        _decode(decodes)
    for work in works:
        if isinstance(work, Slice):
            started = time.perf_counter()
            try:
                work.run()
            except Exception as error:
                work.error = error
            work.ms = 1000 * (time.perf_counter() - started)


def run_alone(steps: Generator[Work | Item, None, object]) -> Iterator[Item]:
    """Performs the work among what a generator yields, and yields the rest."""
    with closing(steps):
        for item in steps:
            if isinstance(item, Work):
                perform([item])
            else:
                yield item


def finish(steps: Steps[Result]) -> Result:
    """Performs all work, and returns the result."""
    while True:
        try:
            work = next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        perform([work])


def _decode(works: list[Decode]) -> None:
    """One pass for all; those that are cancelled, or cannot go on, do not stop the others."""
    from crispvl._core import Session

    started = time.perf_counter()
    n_works = len(works)
    for work in works:
        work.shorten(MAX_ROWS // n_works)
    while works:
        try:
            Session.decode_batch(
                [work.session for work in works],
                [work.ids for work in works],
                [work.cancel for work in works],
            )
            break
        except Cancelled as error:
            for work in works:
                if work.cancel is not None and work.cancel.cancelled:
                    work.error = error
            works = [work for work in works if work.error is None]
        except Exception as error:
            if len(works) == 1:
                works[0].error = error
                break
            for work in works:
                _decode([work])
            return
    for work in works:
        work.ms = 1000 * (time.perf_counter() - started) / n_works
