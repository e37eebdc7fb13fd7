"""Reads the pages of a task in the process that has the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol, TypeAlias

from crispvl.batch.documents import ReadTask, content
from crispvl.batch.job import Job
from crispvl.batch.rows import Row, failed_row, page_row
from crispvl.batch.storage import file_version, is_remote
from crispvl.errors import CrispVLError, DocumentError
from crispvl.events import DocumentDone, PageDone
from crispvl.reading.ocr import CrispOCR


class PageReader(Protocol):
    """What a worker does with a task."""

    def read(self, task: ReadTask) -> Iterator[Row]:
        """Yields a row for each page of the task, in any order."""
        ...


ReaderFactory: TypeAlias = Callable[[Job, int], PageReader]
"""Makes the reader of a worker with a number of CPU threads; picklable."""


class EnginePageReader:
    """Reads with one engine; the pages of a task share its running batch."""

    def __init__(self, job: Job, n_threads: int) -> None:
        load = replace(job.load, threads=job.load.threads or n_threads)
        self._job = job
        self._ocr = CrispOCR(job.model, job.mmproj, **vars(load))

    def read(self, task: ReadTask) -> Iterator[Row]:
        """Yields the rows of a task as its pages are done."""
        left = set(task.pages)
        options = replace(self._job.read, pages=",".join(map(str, task.pages)))
        try:
            _refuse_changed(task)
            events = self._ocr.stream_many(
                [content(task.source)], self._job.prompt, options=options, keep_pages=False
            )
            for _, event in events:
                if isinstance(event, PageDone):
                    left.discard(event.page.number)
                    yield page_row(self._job, task, event.page)
                elif isinstance(event, DocumentDone) and event.document.error is not None:
                    raise event.document.error
            if left:
                raise DocumentError(
                    f"[{task.source}] all pages asked for expected; the time limit of the document "
                    "ended before them; raise it"
                )
        except (CrispVLError, OSError, ValueError, MemoryError) as error:
            yield from (failed_row(self._job, task, page, error) for page in sorted(left))


def _refuse_changed(task: ReadTask) -> None:
    if is_remote(task.source):
        return
    if file_version(task.source) != task.version:
        raise DocumentError(
            f"[{task.source}] the document as it was when its pages were counted expected; it has "
            "changed since; run the batch again"
        )
