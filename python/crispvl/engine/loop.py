"""The loop that serves many threads: they submit and wait, and threads of its own work.

A model that is too small for its threads to share a graph has several, each with tasks of its own
in a step; else there is one.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
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
    """Runs tasks in threads that live while there are tasks, and work while they are wanted.

    It is wanted while a thread waits for a task, and while a task has a listener. So a single
    caller decides after every event what comes next, and a stream that nobody reads costs nothing.

    Args:
        scheduler: Holds the tasks.
        max_queued: Most tasks that wait for a place.
        n_lanes: Most threads.

    Attributes:
        lock: Guards the tasks, except for those whose work is being done.
    """

    def __init__(self, scheduler: Scheduler, max_queued: int, n_lanes: int = 1) -> None:
        self.lock = threading.Lock()
        self._scheduler = scheduler
        self._max_queued = max_queued
        self._bells = [Bell() for _ in range(n_lanes)]
        self._waiters: set[Waiter[Running[Any]]] = set()
        self._listeners: dict[Running[Any], Listener] = {}
        self._threads: dict[int, threading.Thread] = {}  # by the number of their lane
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
        """Has the threads look for tasks that were cancelled. Needs no lock."""
        for bell in self._bells:
            bell.ring()

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
            live, threads = self._scheduler.live(), list(self._threads.values())
            for running in live:
                running.task.cancel.cancel()
            self._stop_cancelled(live)
        for thread in threads:
            if thread is not threading.current_thread():
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
        self.lock, self._threads = threading.Lock(), {}
        self._bells = [Bell() for _ in self._bells]
        self._waiters.clear()
        self._listeners.clear()
        self._scheduler.leave_behind(
            Cancelled(
                "[engine] expected a request of this process; found one made before a fork; "
                "submit it again"
            )
        )

    def _wake(self) -> None:
        n_wanted = len(self._scheduler.live()) or min(1, len(self._scheduler.changed))
        free = [i for i in range(len(self._bells)) if i not in self._threads]
        for i_lane in free[: max(0, n_wanted - len(self._threads))]:
            name = f"crispvl-engine-{i_lane}"
            thread = threading.Thread(target=self._run, args=[i_lane], name=name, daemon=True)
            start_thread(thread)
            self._threads[i_lane] = thread
        self.ring()

    def _run(self, i_lane: int) -> None:
        held: list[Running[Any]] = []
        try:
            while self._step(i_lane, held):
                pass
        except BaseException as error:  # ours, not a task's: nobody must wait for ever
            with self.lock:
                self._threads.pop(i_lane, None)
                for running in self._scheduler.live():
                    if not running.in_pass or running in held:
                        running.in_pass = False
                        self._scheduler.stop(running, error)
                self._tell([])
            raise

    def _step(self, i_lane: int, held: list[Running[Any]]) -> bool:
        """Does what comes next; returns whether there will be more.

        Args:
            i_lane: Of the thread.
            held: Becomes the tasks that no other thread touches meanwhile.
        """
        started = time.perf_counter()
        with self.lock:
            self._stop_cancelled(self._scheduler.live())
            calls = self._tell([])
            told = [running for running, _, _ in calls]
            _hold(told)
            is_wanted = bool(self._waiters or self._listeners)
            chosen = self._scheduler.choose(len(self._threads)) if is_wanted else []
            _hold(chosen)
            held[:] = [*told, *chosen]
            n_live = len(self._scheduler.live())
            has_more = n_live > 0 and (bool(chosen) or len(self._threads) <= n_live)
            if not has_more:
                self._threads.pop(i_lane, None)
        self._make(calls)
        if chosen:
            self._do_work(chosen, started)
        self._release(held)
        if chosen or not has_more:
            self.ring()  # for threads that found nothing to do, or have to end too
        elif not told:
            self._bells[i_lane].wait()
        return has_more

    def _do_work(self, chosen: list[Running[Any]], started: float) -> None:
        """Does the work of some tasks and lets them go on."""
        left = [running for running in chosen if not running.is_done]  # some end by a listener
        works = [running.work for running in left if running.work is not None]
        computing = time.perf_counter()
        perform(works)
        graph_ms = 1000 * (time.perf_counter() - computing)
        n_rows = sum(len(work.ids) for work in works if isinstance(work, Decode))
        with self.lock:
            for running in left:
                self._scheduler.advance(running)
            calls = self._tell(chosen)
            self._counts.n_passes += n_rows > 0
            self._counts.n_rows += n_rows
            self._counts.graph_ms += graph_ms
            self._counts.own_ms += 1000 * (time.perf_counter() - started) - graph_ms
        self._make(calls)

    def _release(self, held: Sequence[Running[Any]]) -> None:
        """Leaves tasks to whoever goes on with them."""
        if held:
            with self.lock:
                for running in held:
                    running.in_pass = False

    def _stop_cancelled(self, tasks: Iterable[Running[Any]]) -> None:
        """Ends tasks that were cancelled, or whose time is up; the thread tells of it."""
        for running in tasks:
            if running.is_stopped and not running.in_pass and not running.is_done:
                self._scheduler.stop(running)
                self.ring()

    def _tell(self, mine: Sequence[Running[Any]]) -> list[tuple[Running[Any], Listener, Any]]:
        """Satisfies waiters, and returns the calls to make without the lock.

        Args:
            mine: What this thread did; what is in the pass of another is told by that.
        """
        changed = dict.fromkeys(r for r in self._scheduler.changed if not r.in_pass or r in mine)
        self._scheduler.changed = [r for r in self._scheduler.changed if r not in changed]
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
        if running.is_counted:  # its listener came after its end
            return
        running.is_counted = True
        if running.was_stopped:
            self._counts.n_cancelled += 1
        elif running.error is not None:
            self._counts.n_failed += 1
        else:
            self._counts.n_done += 1


def _hold(tasks: Iterable[Running[Any]]) -> None:
    """Keeps other threads from tasks, until they are released: their events come in order."""
    for running in tasks:
        running.in_pass = True
