"""From documents to tasks for the workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from crispvl.batch.documents import ReadTask, all_pages
from crispvl.batch.job import MOST_PAGES_PER_TASK, Job
from crispvl.batch.rows import Row, unopened_row
from crispvl.batch.storage import Stored
from crispvl.errors import CrispVLError


class Known(Protocol):
    """What the table has, as `Ledger` knows it or a proxy of one."""

    def has_all_of(self, found: Stored) -> bool: ...
    def missing(self, task: ReadTask) -> ReadTask: ...
    def has(self, key: str) -> bool: ...


def opened(job: Job, found: Stored) -> ReadTask | Row:
    """All pages of a document, or the row of one that cannot be opened."""
    try:
        return all_pages(found, job.read)
    except (CrispVLError, OSError, ValueError, MemoryError) as error:
        return unopened_row(job, found, error)


def groups(task: ReadTask) -> Iterator[ReadTask]:
    """Splits a task into as many as workers are given one by one."""
    for start in range(0, len(task.pages), MOST_PAGES_PER_TASK):
        yield task.only(task.pages[start : start + MOST_PAGES_PER_TASK])


def missing_tasks(job: Job, ledger: Known, found: Stored) -> Iterator[ReadTask | Row]:
    """What is still to be done for a document; nothing where the table has all of it."""
    if ledger.has_all_of(found):
        return
    task = opened(job, found)
    if not isinstance(task, ReadTask):
        if not ledger.has(task["key"]):
            yield task
        return
    yield from groups(ledger.missing(task))
