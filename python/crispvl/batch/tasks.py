"""From documents to parcels of pages for the workers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

from crispvl.batch.contents import all_pages, content, content_hash, refuse_changed
from crispvl.batch.documents import Parcel, ReadTask
from crispvl.batch.job import Job
from crispvl.batch.rows import Row, unopened_row
from crispvl.batch.storage import Stored
from crispvl.batch.worker_process import WorkerProcess
from crispvl.errors import CrispVLError, WorkerDiedError, explained
from crispvl.inputs.versions import file_version

MOST_PAGES = 8
"""In a parcel: enough to fill a worker's running batch."""

Opener: TypeAlias = Callable[[Job, Stored], "ReadTask | Row"]
"""All pages of a document, or the row of one that cannot be opened; picklable."""


def opened(job: Job, found: Stored) -> ReadTask | Row:
    """Opens a document in this process."""
    digest = None
    try:
        data = content(found.name)
        if isinstance(data, Path):  # it may have changed since it was found
            found = Stored(found.name, file_version(data))
        digest = content_hash(data)
        task = all_pages(found, data, digest, job.read)
        refuse_changed(found.name, found.version)
        return task
    except (CrispVLError, OSError, ValueError, MemoryError) as error:
        return unopened_row(job, found, explained(error, found.name), digest)


class IsolatedOpener:
    """Opens documents in a process of its own: one that ends it is a row with an error.

    Not thread-safe. Use it as a context.
    """

    def __init__(self, job: Job, opener: Opener = opened) -> None:
        self._job = job
        self._process = WorkerProcess(partial(_answering, opener, job), job.page_timeout)

    def __call__(self, found: Stored) -> ReadTask | Row:
        for _ in range(self._job.attempts):
            try:
                answers: list[ReadTask | Row] = list(self._process.ask(found))
            except WorkerDiedError as error:
                died = error
            else:
                return answers[0]
        return unopened_row(self._job, found, died)

    def start(self) -> None:
        """Starts the process, without waiting for it; else the first document does."""
        self._process.start()

    def __enter__(self) -> IsolatedOpener:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()


def _answering(opener: Opener, job: Job) -> Callable[[Stored], list[ReadTask | Row]]:
    return lambda found: [opener(job, found)]


class Known(Protocol):
    """What the table has, as `Ledger` knows it or a proxy of one."""

    def missing(self, task: ReadTask) -> ReadTask: ...
    def has(self, key: str) -> bool: ...


def still_to_do(ledger: Known, answer: ReadTask | Row) -> ReadTask | Row | None:
    """What the table lacks of an opened document; None where it has everything."""
    if not isinstance(answer, ReadTask):
        return None if ledger.has(answer["key"]) else answer
    task = ledger.missing(answer)
    return task if task.pages else None


@dataclass(frozen=True)
class Shares:
    """How much a worker is given at once, so that all of them have work to the end."""

    n_documents: int
    n_workers: int

    def most_pages(self, n_pages: int = 1) -> int:
        """Pages in a parcel that comes from a document of ``n_pages``."""
        most = max(self.n_documents, n_pages) / (2 * self.n_workers)
        return min(MOST_PAGES, math.ceil(most))

    def split(self, task: ReadTask) -> Iterator[ReadTask]:
        """Yields a task's pages in tasks that fit into a parcel."""
        most = self.most_pages(len(task.pages))
        for start in range(0, len(task.pages), most):
            yield task.only(task.pages[start : start + most])

    def parcels(self, tasks: Iterable[ReadTask | Row]) -> Iterator[Parcel | Row]:
        """Packs split tasks; rows among them are passed on."""
        parcel: list[ReadTask] = []
        n_pages = 0
        for task in tasks:
            if not isinstance(task, ReadTask):
                yield task
                continue
            if parcel and n_pages + len(task.pages) > MOST_PAGES:
                yield tuple(parcel)
                parcel, n_pages = [], 0
            parcel.append(task)
            n_pages += len(task.pages)
            if n_pages >= self.most_pages():
                yield tuple(parcel)
                parcel, n_pages = [], 0
        if parcel:
            yield tuple(parcel)
