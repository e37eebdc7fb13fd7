"""How threads wake each other."""

from __future__ import annotations

import threading
from collections.abc import Sequence, Sized
from contextlib import suppress
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar

Until: TypeAlias = Literal["event", "state", "end", "all"]


class Bell:
    """Wakes one thread; rung while nobody waits, it lets the next wait pass.

    It may be rung anywhere, by a finaliser or in a signal handler too: a plain lock's release
    cannot be interrupted, unlike a `threading.Event`'s setting.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        with suppress(RuntimeError):  # it was rung already
            self._lock.release()

    def wait(self) -> None:
        self._lock.acquire()


class Awaited(Protocol):
    """A task, as far as one who waits for it looks."""

    @property
    def is_done(self) -> bool: ...

    @property
    def has_moved(self) -> bool:
        """Whether it went on to another state since somebody looked."""

    @property
    def events(self) -> Sized:
        """Events that nobody has taken yet."""


AwaitedT = TypeVar("AwaitedT", bound=Awaited)


class Waiter(Generic[AwaitedT]):
    """A thread that waits for news of some tasks.

    Args:
        tasks: At least one.
        until: ``event``: one of them has new events, or is in another state, and that was not
            taken notice of; ``state``: only the latter; ``end``: one has ended; ``all``: all have.
    """

    def __init__(self, tasks: Sequence[AwaitedT], until: Until) -> None:
        self.tasks = tasks
        self._until = until
        self._notified = threading.Event()

    @property
    def is_satisfied(self) -> bool:
        return (all if self._until == "all" else any)(map(self._has_news, self.tasks))

    def is_satisfied_by(self, changed: AwaitedT) -> bool:
        """Returns whether it is satisfied now that one of its tasks has changed."""
        return self._has_news(changed) and (self._until != "all" or self.is_satisfied)

    def _has_news(self, running: AwaitedT) -> bool:
        if running.is_done or self._until in ("end", "all"):
            return running.is_done
        return running.has_moved or (self._until == "event" and bool(running.events))

    def tell(self) -> None:
        self._notified.set()

    def wait(self, timeout: float) -> bool:
        """Returns whether it was notified within this many seconds."""
        return self._notified.wait(timeout)
