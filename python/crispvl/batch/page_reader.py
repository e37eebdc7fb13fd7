"""Reads the pages of a parcel in the process that has the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from crispvl.batch.contents import changed, content, content_hash, named, refuse_changed
from crispvl.batch.documents import Parcel, ReadTask
from crispvl.batch.job import Job
from crispvl.batch.rows import Row, failed_row, page_row
from crispvl.batch.storage import is_remote
from crispvl.errors import CrispVLError, DocumentError, ModelFileError
from crispvl.events import DocumentDone, PageDone
from crispvl.hub import bundled
from crispvl.hub.hashing import file_sha256
from crispvl.inputs.versions import file_version
from crispvl.reading.ocr import CrispOCR
from crispvl.results.page import Page

_FAILURES = (CrispVLError, OSError, ValueError, MemoryError)


class EnginePageReader:
    """Reads with one engine; the pages of a parcel share its running batch."""

    def __init__(self, job: Job, n_threads: int) -> None:
        load = replace(job.load, threads=job.load.threads or n_threads)
        self._job = job
        self._options = replace(job.read, pages=None)  # a task names its pages
        self._ocr = CrispOCR(job.model or _bundled(job), job.mmproj, **vars(load))
        self._kept: tuple[str, Path | bytes] = "", b""

    def read(self, parcel: Parcel) -> Iterator[Row]:
        """Yields the rows of a parcel as its pages are done."""
        tasks, contents = [], []
        for task in parcel:
            try:
                same = _as_it_is(task)
                contents.append(self._content(same))
                tasks.append(same)
            except _FAILURES as error:
                yield from self._failed(task, task.pages, error)
        left = [set(task.pages) for task in tasks]
        try:
            for i, event in self._ocr.stream_many(
                contents,
                self._job.prompt,
                options=self._options,
                skip=lambda i, page: page not in tasks[i].pages,
                keep_pages=False,
            ):
                if isinstance(event, PageDone):
                    left[i].discard(event.page.number)
                    yield self._row(tasks[i], event.page)
                elif isinstance(event, DocumentDone):
                    reason = event.document.error or _out_of_time(tasks[i])
                    yield from self._failed(tasks[i], left[i], reason)
                    left[i] = set()
        except _FAILURES as error:
            for task, pages in zip(tasks, left, strict=True):
                yield from self._failed(task, pages, error)

    def _content(self, task: ReadTask) -> Path | BinaryIO:
        """What is to be read; the last document of an object store is kept for its next pages."""
        if not is_remote(task.source):
            return named(content(task.source), task.source)
        if self._kept[0] != task.document:
            data = content(task.source)
            if content_hash(data) != task.document:
                raise changed(task.source)
            self._kept = task.document, data
        return named(self._kept[1], task.source)

    def _row(self, task: ReadTask, page: Page) -> Row:
        try:
            refuse_changed(task.source, task.version)
        except _FAILURES as error:
            return failed_row(self._job, task, page.number, error)
        return page_row(self._job, task, page)

    def _failed(self, task: ReadTask, pages: Iterable[int], error: Exception) -> Iterator[Row]:
        try:
            refuse_changed(task.source, task.version)  # which may be why
        except _FAILURES as change:
            error = change
        for page in sorted(pages):
            yield failed_row(self._job, task, page, error)


def _bundled(job: Job) -> Path:
    """This machine's bundled model, which may be another version's than the driver's."""
    model = bundled.path()
    if not model.is_file() or file_sha256(model) != job.model_hash:
        raise ModelFileError(
            f"[{model}] expected the bundled model that the batch was started with; found "
            "another or none on this machine; install the same crispvl on all machines"
        )
    return model


def _out_of_time(task: ReadTask) -> DocumentError:
    return DocumentError(
        f"[{task.source}] expected all pages within the document's time limit; found the "
        "limit reached before this page; raise the limit"
    )


def _as_it_is(task: ReadTask) -> ReadTask:
    """Returns a task with the version that its file has now, if only its times have changed."""
    version = task.version if is_remote(task.source) else file_version(task.source)
    if version != task.version and content_hash(content(task.source)) != task.document:
        raise changed(task.source)
    return replace(task, version=version)
