"""A reader in a process of its own, so that a page that ends it costs that page alone."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from crispvl.batch.documents import ReadTask
from crispvl.batch.job import Job
from crispvl.batch.page_reader import EnginePageReader, ReaderFactory
from crispvl.batch.rows import Row, failed_row
from crispvl.errors import CrispVLError, WorkerDiedError

_START_SECONDS = 600.0  # for loading a large model from a slow disk


class IsolatedReader:
    """Gives tasks to a process and starts another where that one dies. Not thread-safe."""

    def __init__(self, job: Job, n_threads: int, factory: ReaderFactory = EnginePageReader) -> None:
        self._job = job
        self._n_threads = n_threads
        self._factory = factory
        self._process: Any = None
        self._pipe: Connection | None = None
        self.n_deaths = 0

    def read(self, task: ReadTask) -> Iterator[Row]:
        """Yields a row for each page of the task, whatever happens to the process.

        A page that was with a process when it died is tried again alone, in a fresh process for
        its last attempt, and is recorded as failed after that.
        """
        left = set(task.pages)
        try:
            for row in self._ask(task):
                left.discard(row["page"])
                yield row
            return
        except WorkerDiedError as error:
            died = error
        for page in sorted(left):
            yield self._read_alone(task.only([page]), died)

    def _read_alone(self, task: ReadTask, died: WorkerDiedError) -> Row:
        n_alone = max(1, self._job.attempts - 1)  # among others, another page may be the reason
        for attempt in range(n_alone):
            if attempt == n_alone - 1:
                self.close()  # nothing that came before can be the reason
            try:
                return next(self._ask(task))
            except WorkerDiedError as error:
                died = error
        return failed_row(self._job, task, task.pages[0], died)

    def _ask(self, task: ReadTask) -> Iterator[Row]:
        pipe = self._started()
        try:
            pipe.send(task)
            for _ in task.pages:
                if not pipe.poll(self._job.page_timeout):
                    raise self._death(f"nothing came for {self._job.page_timeout:g} s")
                yield pipe.recv()
        except (EOFError, OSError):
            raise self._death() from None

    def _started(self) -> Connection:
        if self._pipe is not None and self._process.is_alive():
            return self._pipe
        self.close()
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, self._job, self._n_threads, self._factory), daemon=True
        )
        self._process.start()
        theirs.close()
        self._pipe = ours
        try:
            if not ours.poll(_START_SECONDS):
                raise self._death("the model was not loaded in time")
            failure = ours.recv()
        except (EOFError, OSError):
            raise self._death() from None
        if failure is not None:  # the model itself: no page will fare better
            self.close()
            raise failure
        return ours

    def _death(self, reason: str | None = None) -> WorkerDiedError:
        self.n_deaths += 1
        process = self._process
        if reason is None:
            process.join(5)
            code = process.exitcode
            reason = "exit code unknown" if code is None else _in_words(code)
        self.close()
        return WorkerDiedError(
            f"[batch] a worker that outlives its page expected; it ended: {reason}; look at the "
            "page, or give the worker more memory"
        )

    def close(self) -> None:
        """Ends the process."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def __enter__(self) -> IsolatedReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _in_words(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-exit_code).name
    return f"signal {-exit_code}"


def _serve(pipe: Connection, job: Job, n_threads: int, factory: ReaderFactory) -> None:
    """The process: loads the model, says so, and answers tasks until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver ends it
    try:
        reader = factory(job, n_threads)
    except (CrispVLError, OSError, ValueError, ImportError) as error:
        pipe.send(error)
        return
    pipe.send(None)
    with contextlib.suppress(EOFError, OSError):
        while True:
            for row in reader.read(pipe.recv()):
                pipe.send(row)
