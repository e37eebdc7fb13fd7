"""Readers without a model: what a batch does with pages is tested apart from what is read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crispvl.batch.documents import ReadTask
from crispvl.batch.job import Job
from crispvl.batch.rows import Row, page_row
from crispvl.results.page import Page


class NamingReader:
    """Notes every page that it reads beside the output, and marks the row with its number."""

    def __init__(self, job: Job, n_threads: int) -> None:
        self.job = job
        self.log = Path(job.out).with_name("read.log")

    def read(self, task: ReadTask) -> Iterator[Row]:
        for page in task.pages:
            with self.log.open("a") as log:
                log.write(f"{Path(task.source).name} {page}\n")
            self.before(page)
            row = page_row(self.job, task, Page(number=page, width_px=page))
            yield row | {"text": f"{Path(task.source).name} {page}"}

    def before(self, page: int) -> None:
        """What happens on the way."""


class SlowReader(NamingReader):
    """Takes a while for each page."""

    def before(self, page: int) -> None:
        time.sleep(0.05)


class PoisonedReader(NamingReader):
    """Dies of the third page of any document."""

    def before(self, page: int) -> None:
        if page == 3:
            os._exit(7)


class HangingReader(NamingReader):
    """Says nothing more at the second page of any document."""

    def before(self, page: int) -> None:
        if page == 2:
            time.sleep(3600)


def refused(job: Job, n_threads: int) -> Any:
    """Where nothing is to be read, no worker is to be started."""
    raise ValueError("[worker] no worker expected; found one; start none")
