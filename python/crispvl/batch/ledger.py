"""Which pages the table already has: an index on disk, so that memory does not grow with it."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable
from pathlib import Path

from crispvl.batch.documents import ReadTask
from crispvl.batch.job import Job
from crispvl.batch.rows import NO_PAGE, Row
from crispvl.batch.storage import Stored

_TABLES = """
    create table pages (key text primary key) without rowid;
    create table read (source text, version text, page int, n_pages int,
                       primary key (source, version, page)) without rowid;
"""


class Ledger:
    """Keys of the pages that need not be read. Use it as a context; its file goes with it."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._folder = tempfile.TemporaryDirectory(prefix="crispvl-batch-")
        self._index = sqlite3.connect(
            Path(self._folder.name) / "pages.sqlite", check_same_thread=False
        )
        self._index.executescript("pragma journal_mode=off; pragma synchronous=off;" + _TABLES)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._index.close()
        self._folder.cleanup()

    def add(self, rows: Iterable[Row]) -> None:
        """Notes rows of the table."""
        job = self._job
        for row in rows:
            self._index.execute("insert or ignore into pages values (?)", [row["key"]])
            if (row["model"], row["settings"]) == (job.model_hash, job.settings_hash):
                self._index.execute(
                    "insert or ignore into read values (?, ?, ?, ?)",
                    [row["source"], row["version"], row["page"], row["n_pages"]],
                )

    @property
    def n_pages(self) -> int:
        """Pages noted."""
        count: int = self._index.execute("select count(*) from pages").fetchone()[0]
        return count

    def has_all_of(self, found: Stored) -> bool:
        """Whether every page of a document of this version was read with these settings.

        Without opening the document. Of a range of pages the document itself must tell which they
        are, so this is false then.
        """
        if self._job.read.pages is not None:
            return False
        n_read, n_pages = self._index.execute(
            "select count(*), max(n_pages) from read where source = ? and version = ?",
            [found.name, found.version],
        ).fetchone()
        if n_read == 1 and n_pages == NO_PAGE:  # it could not be opened, and is as it was
            return True
        return bool(n_read) and n_read == n_pages

    def missing(self, task: ReadTask) -> ReadTask:
        """The task without the pages that were read."""
        keys = {page: self._job.page_key(task.source, task.document, page) for page in task.pages}
        return task.only(page for page, key in keys.items() if not self.has(key))

    def has(self, key: str) -> bool:
        """Whether a page was read."""
        known = "select 1 from pages where key = ?"
        return self._index.execute(known, [key]).fetchone() is not None
