"""A process that may die without taking anything along but its answer."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from crispvl.errors import CrispVLError, EngineClosedError, WorkerDiedError
from crispvl.library_messages import silence_libraries

_START_SECONDS = 600.0  # for loading a large model from a slow disk
_main_hidden = threading.Lock()

Answering: TypeAlias = Callable[[Any], Iterable[Any]]
"""What answers in the process."""


class WorkerProcess:
    """A process that answers what it is given; where it dies, the next question starts another.

    For one thread at a time, `stop` excepted.

    Args:
        make: Called in the process for what answers there; picklable, and not of the main module,
            which the process does not import.
        timeout: Seconds after which a process that says nothing is taken for hanging.
    """

    def __init__(self, make: Callable[[], Answering], timeout: float) -> None:
        self._make = make
        self._timeout = timeout
        self._process: Any = None
        self._pipe: Connection | None = None
        self._is_ready = False
        self._stopped = False
        self._starting = threading.Lock()

    def start(self) -> None:
        """Starts the process, without waiting for it; else the first question does.

        Raises:
            EngineClosedError: It was stopped.
        """
        if self._pipe is None or (self._is_ready and not self._process.is_alive()):
            self._spawn()

    def ask(self, item: Any) -> Iterator[Any]:
        """Yields the answers to an item.

        Raises:
            WorkerDiedError: The process ended, or said nothing for too long.
            EngineClosedError: It was stopped.
            CrispVLError, OSError, ValueError, ImportError: What answers could not be made.
        """
        pipe = self._started()
        try:
            pipe.send(item)
            while (answer := self._received(pipe)) is not None:
                yield answer[0]
        except (EOFError, OSError):
            raise self._death() from None

    def _received(self, pipe: Connection) -> Any:
        if not pipe.poll(self._timeout):
            raise self._death(f"nothing came for {self._timeout:g} s")
        return pipe.recv()

    def _started(self) -> Connection:
        self.start()
        pipe = self._pipe
        assert pipe is not None
        if not self._is_ready:
            self._await_ready(pipe)
        return pipe

    def _spawn(self) -> None:
        self.close()
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        with self._starting:
            if self._stopped:
                raise EngineClosedError(
                    "[batch] expected a running batch; found it ending; start it again"
                )
            self._process = context.Process(target=_serve, args=(theirs, self._make), daemon=True)
            with _interrupts_held(), _without_main():
                self._process.start()
        theirs.close()
        self._pipe = ours

    def _await_ready(self, pipe: Connection) -> None:
        try:
            if not pipe.poll(_START_SECONDS):
                raise self._death("the model was not loaded in time")
            failure = pipe.recv()
        except (EOFError, OSError):
            raise self._death() from None
        if failure is not None:  # the model itself: no page will fare better
            self.close()
            raise failure
        self._is_ready = True

    def _death(self, reason: str | None = None) -> WorkerDiedError:
        if reason is None:
            self._process.join(5)
            code = self._process.exitcode
            reason = "exit code unknown" if code is None else _in_words(code)
        self.close()
        return WorkerDiedError(
            f"[batch] expected the worker to survive its page; found that it ended: {reason}; look "
            "at the page, or give the worker more memory"
        )

    def stop(self) -> None:
        """Ends the process and starts no other; from any thread."""
        with self._starting:
            self._stopped = True
            process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """Ends the process."""
        self._is_ready = False
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keeps a Ctrl-C, which goes to all processes of a terminal, from one that is started here."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Keeps a process that is started here from importing the main module again.

    That would be Ray's in a Ray worker, a second of CPU time, and the batch itself in a script that
    starts one without asking for its ``__name__``.
    """
    main: dict[str, Any] = vars(sys.modules["__main__"])
    with _main_hidden:
        hidden = {"__file__": None, "__spec__": None}
        kept: dict[str, Any] = {name: main[name] for name in hidden if name in main}
        main.update(hidden)
        try:
            yield
        finally:
            del main["__file__"]
            main.update(kept)


def _in_words(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-exit_code).name
    return f"signal {-exit_code}"


def _serve(pipe: Connection, make: Callable[[], Answering]) -> None:
    """The process: makes what answers, says so, and answers items until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver ends it
    silence_libraries()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        answers = make()
    except (CrispVLError, OSError, ValueError, ImportError) as error:
        pipe.send(error)
        return
    pipe.send(None)
    with contextlib.suppress(EOFError, OSError):
        while True:
            for answer in answers(pipe.recv()):
                pipe.send((answer,))
            pipe.send(None)


def _end_with_parent() -> None:
    """Ends this process with the one that started it, which may be killed while a page is read."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
