"""A task in the engine, from the queue to its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias, TypeVar

from crispvl.engine.steps import Decode, Encoded, Result, Slice, Work
from crispvl.engine.token_stream import Token
from crispvl.engine.waiting import Waiter
from crispvl.errors import Cancelled

if TYPE_CHECKING:
    from crispvl._core import CancelToken

TaskEvent: TypeAlias = Encoded | Token
State: TypeAlias = Literal["queued", "preparing", "decoding", "done"]
Result_co = TypeVar("Result_co", covariant=True)


class Task(Protocol[Result_co]):
    """Something that needs the model for longer than one step."""

    @property
    def cancel(self) -> CancelToken:
        """Its own: stops it and nothing else."""

    @property
    def steps(self) -> Generator[Work | TaskEvent, None, None]:
        """Yields the work, and events."""

    @property
    def n_prompt(self) -> int:
        """Tokens of its prompt, which say how much work comes before the first answer."""

    @property
    def n_tokens(self) -> int:
        """Most tokens that its session holds."""

    @property
    def result(self) -> Result_co:
        """What there is so far; complete in the end."""


class Running(Generic[Result]):
    """A task that was submitted. The engine's lock guards it.

    Args:
        task: Is begun by the first `advance`.

    Attributes:
        state: How far it is.
        work: What it waits for, while it is neither queued nor done.
        events: Those that nobody has taken yet.
        has_moved: Whether it went on to another state since somebody looked.
        error: What ended it before its time.
        was_stopped: Whether it was cancelled or its time was up before its end.
        in_pass: Whether a thread does its work or tells of it right now, outside the lock.
        is_counted: Whether its end is among the engine's counts.
        waiters: Who waits for news of it.
    """

    def __init__(self, task: Task[Result]) -> None:
        self.task = task
        self.state: State = "queued"
        self.work: Work | None = None
        self.events: deque[TaskEvent] = deque()
        self.error: BaseException | None = None
        self.has_moved = self.was_stopped = self.in_pass = self.is_counted = False
        self.waiters: list[Waiter[Running[Any]]] = []
        self.order: tuple[int, int] = (0, 0)
        """Whose turn it is: the least comes first; see `crispvl.engine.scheduler`."""

    @property
    def is_done(self) -> bool:
        return self.state == "done"

    @property
    def is_stopped(self) -> bool:
        """Whether it was cancelled, or its time is up."""
        return self.task.cancel.cancelled

    def take(self) -> list[TaskEvent]:
        """Returns the events that were not taken yet."""
        self.has_moved = False
        return [self.events.popleft() for _ in range(len(self.events))]

    def advance(self) -> None:
        """Runs the task up to its next work, or to its end."""
        self.work = None
        try:
            for item in self.task.steps:
                if isinstance(item, Work):
                    self.work = item
                    if isinstance(item, Decode):
                        self.state = "decoding"
                    elif self.state == "queued":
                        self.state = "preparing"
                    return
                self.events.append(item)
        except BaseException as error:  # a task's own, whatever it is, must not end its neighbours
            self._end(error)
        else:
            self._end(None)

    def stop(self, error: BaseException | None = None) -> None:
        """Ends it without its work."""
        error = error or Cancelled("[engine] stopped by the caller")
        if self.work is None:
            self._end(error)
            return
        if isinstance(error, Exception):
            self.work.error = error
            self.advance()  # the task cleans up behind itself
        if not self.is_done:
            self.task.steps.close()
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        self.state = "done"
        self.work = None
        if isinstance(error, Cancelled):
            self.was_stopped = True
            if self.task.cancel.expired:
                error = None  # the result says that its time was up
            else:
                error.partial = self.task.result
        self.error = error

    @property
    def is_preparing(self) -> bool:
        """Whether it waits for a slice of work that no other can share."""
        return isinstance(self.work, Slice)
