"""A reader in a process of its own, so that a page that ends it costs only that page."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from crispvl.batch.documents import Parcel, ReadTask
from crispvl.batch.job import Job
from crispvl.batch.readers import ReaderFactory, engine_reader
from crispvl.batch.rows import Row, failed_row
from crispvl.batch.worker_process import Answering, WorkerProcess
from crispvl.errors import WorkerDiedError


class IsolatedReader(WorkerProcess):
    """Reads parcels in a process of its own."""

    def __init__(self, job: Job, n_threads: int, factory: ReaderFactory = engine_reader) -> None:
        super().__init__(partial(_reading, factory, job, n_threads), job.page_timeout)
        self._job = job

    def read(self, parcel: Parcel) -> Iterator[Row]:
        """Yields a row for each page of the parcel, whatever happens to the process.

        A page that was with a process when it died is tried again by itself, in a fresh process for
        its last attempt, and is recorded as failed after that.
        """
        left = {
            self._job.page_key(task.source, task.document, page): task.only([page])
            for task in parcel
            for page in task.pages
        }
        try:
            for row in self.ask(parcel):
                left.pop(row["key"], None)
                yield row
            return
        except WorkerDiedError as error:
            died = error
        for task in left.values():
            yield self._read_alone(task, died)

    def _read_alone(self, task: ReadTask, died: WorkerDiedError) -> Row:
        n_alone = max(1, self._job.attempts - 1)  # among others, another page may be the reason
        for attempt in range(n_alone):
            if attempt == n_alone - 1:
                self.close()  # nothing that came before can be the reason
            try:
                [row] = self.ask((task,))
            except WorkerDiedError as error:
                died = error
            else:
                found: Row = row
                return found
        return failed_row(self._job, task, task.pages[0], died)


def _reading(factory: ReaderFactory, job: Job, n_threads: int) -> Answering:
    return factory(job, n_threads).read
