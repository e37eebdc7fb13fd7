"""Readers without a model: what a batch does with pages is tested apart from what is read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crispvl.batch.documents import Parcel, ReadTask
from crispvl.batch.job import Job
from crispvl.batch.rows import Row, failed_row, page_row
from crispvl.batch.storage import Stored
from crispvl.batch.tasks import opened
from crispvl.errors import DocumentChangedError, PasswordError
from crispvl.inputs.utf8 import path_name
from crispvl.results.page import Page


class NamingReader:
    """Notes every page that it reads beside the output, and marks the row with its number."""

    def __init__(self, job: Job, n_threads: int) -> None:
        self.job = job
        self.log = Path(job.out).with_name("read.log")

    def read(self, parcel: Parcel) -> Iterator[Row]:
        for task in parcel:
            for page in task.pages:
                yield self.row(task, page)

    def row(self, task: ReadTask, page: int) -> Row:
        name = path_name(Path(task.source).name)
        with self.log.open("a") as log:
            log.write(f"{name} {page}\n")
        self.before(page)
        row = page_row(self.job, task, Page(number=page, width_px=page))
        return row | {"text": f"{name} {page}"}

    def before(self, page: int) -> None:
        """What happens on the way."""


class SlowReader(NamingReader):
    """Takes a while for each page."""

    def before(self, page: int) -> None:
        time.sleep(0.05)


class DeviceReader(SlowReader):
    """Tells as its text what it was to read on."""

    def row(self, task: ReadTask, page: int) -> Row:
        return super().row(task, page) | {"text": self.job.load.device}


class ProcessReader(SlowReader):
    """Tells as its text which process read."""

    def row(self, task: ReadTask, page: int) -> Row:
        return super().row(task, page) | {"text": str(os.getpid())}


class ChangedReader(NamingReader):
    """Finds every document changed."""

    error: Exception = DocumentChangedError("[a.pdf] expected it as it was; found it changed")

    def row(self, task: ReadTask, page: int) -> Row:
        return failed_row(self.job, task, page, self.error)


class LockedReader(ChangedReader):
    """Has no password."""

    error = PasswordError("[a.pdf] expected a password; found none; give one")


class PoisonedReader(NamingReader):
    """Dies of the third page of any document."""

    def before(self, page: int) -> None:
        if page == 3:
            os._exit(7)


class BucketReader(PoisonedReader):
    """Without the note beside the output, which is no folder here."""

    def __init__(self, job: Job, n_threads: int) -> None:
        super().__init__(job, n_threads)
        self.log = Path("/dev/null")


class HangingReader(NamingReader):
    """Says nothing more at the second page of any document."""

    def before(self, page: int) -> None:
        if page == 2:
            time.sleep(3600)


def refused(job: Job, n_threads: int) -> Any:
    """Where nothing is to be read, no worker is to be started."""
    raise ValueError("[worker] expected no worker; found one; start none")


def dying_opener(job: Job, found: Stored) -> ReadTask | Row:
    """Dies of one document."""
    if "deadly" in found.name:
        os._exit(9)
    return opened(job, found)


def hanging_opener(job: Job, found: Stored) -> ReadTask | Row:
    """Says beside the output that it has begun, and nothing more."""
    Path(job.out).with_name("opening").write_text(str(os.getpid()))
    time.sleep(3600)
    return opened(job, found)
