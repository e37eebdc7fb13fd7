"""The loop that serves many threads: they submit and wait, and one thread of its own works."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from crispvl.engine.running import Running
from crispvl.engine.scheduler import Scheduler
from crispvl.engine.steps import Decode, perform
from crispvl.engine.waiting import Bell, Waiter
from crispvl.errors import Cancelled, EngineBusyError, EngineClosedError
from crispvl.thread_stack import start_thread

LOOK_S = 0.05
"""How often a waiting caller looks whether its task was cancelled or its time is up. While the task
is computed the core looks, much more often."""

Listener = Callable[[Any], object]


@dataclass(kw_only=True)
class EngineCounts:
    """What an engine does and has done. Times are in milliseconds."""

    n_queued: int = 0
    n_running: int = 0
    n_done: int = 0
    n_cancelled: int = 0
    """Or dropped, or out of time."""
    n_failed: int = 0
    n_passes: int = 0
    """Through the decoder, each for all answers under way."""
    n_rows: int = 0
    """Tokens in all passes, guessed ones included."""
    graph_ms: float = 0.0
    """What the model's graphs took."""
    own_ms: float = 0.0
    """What the engine took besides: choosing, sampling, text."""


class Loop:
    """Runs tasks in a thread that lives while there are tasks, and works while it is wanted.

    It is wanted while a thread waits for a task, and while a task has a listener. So a single
    caller decides after every event what comes next, and a stream that nobody reads costs nothing.

    Args:
        scheduler: Holds the tasks.
        max_queued: Most tasks that wait for a place.

    Attributes:
        lock: Guards the tasks, except for those whose work is being done.
    """

    def __init__(self, scheduler: Scheduler, max_queued: int) -> None:
        self.lock = threading.Lock()
        self._scheduler = scheduler
        self._max_queued = max_queued
        self._bell = Bell()
        self._waiters: set[Waiter[Running[Any]]] = set()
        self._listeners: dict[Running[Any], Listener] = {}
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._is_exiting = False
        self._counts = EngineCounts()

    @property
    def counts(self) -> EngineCounts:
        with self.lock:
            queued, running = self._scheduler.n_queued, self._scheduler.n_running
            return replace(self._counts, n_queued=queued, n_running=running)

    def add(self, running: Running[Any], block: bool) -> None:
        """Puts a task into the queue, when there is room.

        Raises:
            EngineBusyError: There is none, and it is not to wait.
            EngineClosedError: No more tasks are taken.
        """
        while (ahead := self._add(running)) is not None:
            if not block:
                raise EngineBusyError(
                    f"[engine] expected fewer than {self._max_queued} waiting requests; found as "
                    "many; try again later"
                )
            self.wait(Waiter(ahead, "state"))

    def _add(self, running: Running[Any]) -> list[Running[Any]] | None:
        """Puts a task into the queue; returns those that fill it where there is no room."""
        with self.lock:
            if not self._is_closed:
                if self._scheduler.n_queued >= self._max_queued:
                    self._stop_cancelled(self._scheduler.queued())
                ahead = self._scheduler.queued()
                if len(ahead) < self._max_queued:
                    self._scheduler.add(running)
                    return None
                return ahead
        self._park_at_exit()
        raise EngineClosedError(
            "[engine] expected an open engine; found one that was closed; load the model again"
        )

    def wait(self, waiter: Waiter[Running[Any]], timeout: float | None = None) -> bool:
        """Has the tasks run until a waiter is satisfied, and returns whether it is."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        with self.lock:
            if waiter.is_satisfied:
                return True
            self._waiters.add(waiter)
            for running in waiter.tasks:
                running.waiters.append(waiter)
            self._wake()
        try:
            while not waiter.wait(max(0.0, min(LOOK_S, end - time.monotonic()))):
                with self.lock:
                    self._stop_cancelled(waiter.tasks)
                    if waiter.is_satisfied or time.monotonic() >= end:
                        return waiter.is_satisfied
            return True
        finally:
            with self.lock:
                self._forget(waiter)
            self._park_at_exit()

    def listen(self, running: Running[Any], listener: Listener) -> None:
        """Has a task run by itself; the listener gets its events, and None at its end."""
        with self.lock:
            self._listeners[running] = listener
            self._scheduler.changed.append(running)
            self._wake()

    def ring(self) -> None:
        """Has the thread look for tasks that were cancelled. Needs no lock."""
        self._bell.ring()

    def close(self, finish: bool, timeout: float | None) -> bool:
        """Takes no more tasks, and has the others finished or cancelled.

        Returns:
            Whether none was cancelled.
        """
        with self.lock:
            self._is_closed = True
            live = self._scheduler.live()
        if finish and live:
            self.wait(Waiter(live, "all"), timeout)
        with self.lock:
            live, thread = self._scheduler.live(), self._thread
            for running in live:
                running.task.cancel.cancel()
            self._stop_cancelled(live)
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        return not live

    def close_at_exit(self) -> None:
        """Cancels everything, while the interpreter ends."""
        self._is_exiting = True
        self.close(finish=False, timeout=None)

    def _park_at_exit(self) -> None:
        """Keeps a daemon thread waiting that the interpreter is about to end.

        It would only print that its request was cancelled.
        """
        if self._is_exiting and threading.current_thread() is not threading.main_thread():
            threading.Event().wait()

    def renew_after_fork(self) -> None:
        """Leaves all tasks to the parent process, whose thread this one does not have."""
        self.lock, self._bell, self._thread = threading.Lock(), Bell(), None
        self._waiters.clear()
        self._listeners.clear()
        self._scheduler.leave_behind(
            Cancelled(
                "[engine] expected a request of this process; found one made before a fork; "
                "submit it again"
            )
        )

    def _wake(self) -> None:
        if self._thread is None and (self._scheduler.live() or self._scheduler.changed):
            self._thread = threading.Thread(target=self._run, name="crispvl-engine", daemon=True)
            start_thread(self._thread)
        self._bell.ring()

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except BaseException as error:  # ours, not a task's: nobody must wait for ever
            with self.lock:
                self._thread = None
                for running in self._scheduler.live():
                    running.in_pass = False
                    self._scheduler.stop(running, error)
                self._tell()
            raise

    def _step(self) -> bool:
        """Does what comes next; returns whether there will be more."""
        started = time.perf_counter()
        with self.lock:
            self._stop_cancelled(self._scheduler.live())
            is_wanted = bool(self._waiters or self._listeners)
            chosen = self._scheduler.choose() if is_wanted else []
            for running in chosen:
                running.in_pass = True
            has_more = bool(self._scheduler.live())
            if not has_more:
                self._thread = None
            calls = self._tell()
        self._make(calls)
        if chosen:
            graph_ms = self._do_work(chosen)
            self._counts.graph_ms += graph_ms
            self._counts.own_ms += 1000 * (time.perf_counter() - started) - graph_ms
        elif has_more:
            self._bell.wait()
        return has_more

    def _do_work(self, chosen: list[Running[Any]]) -> float:
        """Does the work of some tasks and lets them go on; returns what the work took, in ms."""
        chosen = [running for running in chosen if not running.is_done]  # ended by its listener
        works = [running.work for running in chosen if running.work is not None]
        started = time.perf_counter()
        perform(works)
        graph_ms = 1000 * (time.perf_counter() - started)
        n_rows = sum(len(work.ids) for work in works if isinstance(work, Decode))
        with self.lock:
            self._counts.n_passes += n_rows > 0
            self._counts.n_rows += n_rows
            for running in chosen:
                running.in_pass = False
                self._scheduler.advance(running)
            calls = self._tell()
        self._make(calls)
        return graph_ms

    def _stop_cancelled(self, tasks: Iterable[Running[Any]]) -> None:
        """Ends tasks that were cancelled, or whose time is up; the thread tells of it."""
        for running in tasks:
            if running.is_stopped and not running.in_pass and not running.is_done:
                self._scheduler.stop(running)
                self._bell.ring()

    def _tell(self) -> list[tuple[Running[Any], Listener, Any]]:
        """Satisfies waiters, and returns the calls to make without the lock."""
        changed, self._scheduler.changed = self._scheduler.changed, []
        calls: list[tuple[Running[Any], Listener, Any]] = []
        for running in changed:
            for waiter in [w for w in running.waiters if w.is_satisfied_by(running)]:
                self._forget(waiter)
                waiter.tell()
            listener = self._listeners.get(running)
            if listener is not None:
                calls += [(running, listener, event) for event in running.take()]
            if running.is_done:
                self._count_end(running)
                if listener is not None:
                    calls.append((running, self._listeners.pop(running), None))
        return calls

    def _make(self, calls: list[tuple[Running[Any], Listener, Any]]) -> None:
        for running, listener, event in calls:
            try:
                listener(event)
            except Exception as error:
                with self.lock:
                    self._listeners.pop(running, None)
                    if not running.is_done:
                        running.in_pass = False
                        self._scheduler.stop(running, error)

    def _forget(self, waiter: Waiter[Running[Any]]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            for running in waiter.tasks:
                running.waiters.remove(waiter)

    def _count_end(self, running: Running[Any]) -> None:
        if running.was_stopped:
            self._counts.n_cancelled += 1
        elif running.error is not None:
            self._counts.n_failed += 1
        else:
            self._counts.n_done += 1
