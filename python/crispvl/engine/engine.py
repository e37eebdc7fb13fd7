"""One model that many callers use at once: what they ask is answered in one running batch."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from crispvl.engine.handle import Handle
from crispvl.engine.kv_memory import kv_tokens
from crispvl.engine.loop import EngineCounts, Loop
from crispvl.engine.request import Request
from crispvl.engine.running import Running, Task
from crispvl.engine.scheduler import MAX_PLACES, Scheduler
from crispvl.engine.steps import Result
from crispvl.engine.token_stream import TokenStream
from crispvl.engine.waiting import Until, Waiter
from crispvl.results.generation import Generation

if TYPE_CHECKING:
    from crispvl.engine.model import Model

MAX_QUEUED = 1024
"""Most requests that wait for a place, by default."""


class Engine:
    """Answers requests, many in each pass over the weights. Any thread may use it.

    The model runs in threads of the engine's, which live while there are requests and work while
    somebody waits for one, or is to be called. So a signal that ends a caller, and an exception
    that ends a request, are theirs alone.

    A forked process has an engine without requests. When the interpreter exits, all are cancelled.

    Args:
        model: Its encoder and decoder.
        n_places: Most requests that are answered at once. Fewer are where their KV caches would
            take more than a quarter of the memory that is free now.
        max_queued: Most requests that wait for a place.

    Example:
        >>> engine = Engine(model)
        >>> handles = [engine.submit(request) for request in requests]
        >>> texts = [handle.result().text for handle in handles]
    """

    def __init__(
        self, model: Model, n_places: int = MAX_PLACES, max_queued: int = MAX_QUEUED
    ) -> None:
        self.n_places = n_places
        self.max_queued = max_queued
        self._model = model
        scheduler = Scheduler(n_places, kv_tokens(model))
        self._loop = Loop(scheduler, max_queued, model.core.n_lanes)
        _loops.add(self._loop)

    @classmethod
    def of(cls, model: Model) -> Engine:
        """Returns the engine that all callers of a model share, as long as one of them holds it."""
        with _making:
            known = _of_models.get(model)
            engine = None if known is None else known()
            if engine is None:
                engine = cls(model)
                _of_models[model] = weakref.ref(engine)
        return engine

    def submit(
        self,
        request: Request,
        on_event: Callable[[Any], object] | None = None,
        block: bool = True,
    ) -> Handle[Generation]:
        """Takes a request, and computes nothing yet.

        Args:
            request: What is asked.
            on_event: Called by a thread of the engine's with each `Encoded` and `Token` as they
                come, and with the handle at the end. It must return soon. What it raises ends the
                request.
            block: Whether to wait for room in the queue.

        Raises:
            ContextOverflowError: The prompt does not fit the model's context.
            ValueError: Prompt and images do not belong together.
            EngineBusyError: The queue is full, and ``block`` is false.
            EngineClosedError: The engine was closed.
        """
        return self.run(TokenStream(self._model, request), on_event, block)

    def run(
        self,
        task: Task[Result],
        on_event: Callable[[Any], object] | None = None,
        block: bool = True,
    ) -> Handle[Result]:
        """Like `submit`, for any task."""
        running = Running(task)
        self._loop.add(running, block)
        handle = Handle(self._loop, running)
        if on_event is not None:
            handle.listen(on_event)
        return handle

    def wait(
        self,
        handles: Sequence[Handle[Any]],
        until: Until = "event",
        timeout: float | None = None,
    ) -> bool:
        """Has the model run until there is news of requests, and returns whether there is.

        Args:
            handles: Of the requests, at least one.
            until: ``event``: one has new events, or is in another state, since `Handle.take`;
                ``state``: only the latter; ``end``: one has ended; ``all``: all have.
            timeout: Most seconds to wait.
        """
        return self._loop.wait(Waiter([handle.running for handle in handles], until), timeout)

    @property
    def counts(self) -> EngineCounts:
        """What it does and has done."""
        return self._loop.counts

    def close(self, finish: bool = True, timeout: float | None = None) -> bool:
        """Takes no more requests, and waits until the others have ended.

        Args:
            finish: Whether they are answered; else they are cancelled.
            timeout: Seconds after which they are cancelled.

        Returns:
            Whether none was cancelled.
        """
        return self._loop.close(finish, timeout)


_making = threading.Lock()
_of_models: weakref.WeakKeyDictionary[Model, weakref.ref[Engine]] = weakref.WeakKeyDictionary()
_loops: weakref.WeakSet[Loop] = weakref.WeakSet()
_held: list[Loop] = []  # while the process forks, so that the child finds them between two steps


def _before_fork() -> None:
    _making.acquire()
    _held.extend(_loops)
    for loop in _held:
        loop.lock.acquire()


def _after_fork_in_parent() -> None:
    for loop in _held:
        loop.lock.release()
    _held.clear()
    _making.release()


def _after_fork_in_child() -> None:
    for loop in _held:
        loop.renew_after_fork()
    _held.clear()
    _making.release()


def _at_exit() -> None:
    for loop in list(_loops):
        loop.close_at_exit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
atexit.register(_at_exit)
