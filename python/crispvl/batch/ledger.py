"""Which documents are to be read and which pages the table has: an index on disk.

So memory does not grow with either, and the two are joined where they are.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice

from crispvl.batch.documents import ReadTask
from crispvl.batch.job import Job
from crispvl.batch.rows import NO_PAGE, Row
from crispvl.batch.storage import Stored
from crispvl.errors import OutputError
from crispvl.inputs.utf8 import path_name

_TABLES = """
    pragma journal_mode=off;
    pragma synchronous=off;
    create table pages (key text primary key, failed int, wanted int) without rowid;
    create table read (source text, version text, page int, n_pages int, failed int,
                       primary key (source, version, page)) without rowid;
    create table claims (key text primary key, claimant text) without rowid;
    create table found (name blob primary key, source text, version text, done int);
    create index sources on found (source);
"""

_FINISHED = f"""
    update found set done = 1 where version != '' and exists (
        select 1 from read where read.source = found.source and read.version = found.version
        group by read.source having count(*) = max(n_pages) or max(n_pages) = {NO_PAGE})
"""
"""A document that could not be opened, and is as it was, is finished as well."""


class Ledger:
    """Use it as a context. For one thread at a time."""

    def __init__(self, job: Job) -> None:
        self._job = job
        # Without a name, SQLite keeps it in a temporary file that goes with the process.
        self._index = sqlite3.connect("", check_same_thread=False)
        self._index.executescript(_TABLES)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._index.close()
        if isinstance(error, sqlite3.OperationalError):
            raise OutputError(
                f"[index] expected room for a temporary index; found {str(error)!r}; make room "
                "where TMPDIR points, or let it point elsewhere"
            ) from error

    def add(self, row: Row) -> bool:
        """Notes a row of the table; returns whether its page is new."""
        failed = row["error_type"] is not None
        known = self._index.execute(
            "insert or ignore into pages values (?, ?, 0)", [row["key"], failed]
        )
        if self._job.is_of(row):
            self._index.execute(
                "insert or ignore into read values (?, ?, ?, ?, ?)",
                [
                    row["source"],
                    row["version"],
                    row["page"],
                    row["n_pages"],
                    failed,
                ],
            )
        return bool(known.rowcount)

    @property
    def n_pages(self) -> int:
        """Pages noted."""
        return self._count("pages")

    @property
    def n_kept(self) -> int:
        """Of these, the ones that were read with this model and these settings."""
        return self._count("read")

    @property
    def n_failed(self) -> int:
        """Of those, the ones recorded with an error that belong to the documents of this run.

        Complete when `missing` and `has` were asked about all documents that are not done.
        """
        done = "read join found using (source, version) where found.done and read.failed"
        return self._count(done) + self._count("pages where failed and wanted")

    def expect(self, documents: Iterable[Stored]) -> None:
        """Notes documents to be read."""
        self._index.executemany(
            "insert or ignore into found values (?, ?, ?, 0)",
            (
                (os.fsencode(found.name), path_name(found.name), found.version)
                for found in documents
            ),
        )

    def expects(self, source: str) -> bool:
        """Whether a row's document is to be read."""
        known = self._index.execute("select 1 from found where source = ? limit 1", [source])
        return known.fetchone() is not None

    def mark_finished(self) -> None:
        """Marks documents with every page read as done, without opening them.

        To be called when all documents and all rows are noted. Of a range of pages the document
        itself must tell which they are.
        """
        if self._job.read.pages is None:
            self._index.execute(_FINISHED)

    @property
    def n_unfinished(self) -> int:
        """Documents that may have pages to read."""
        return self._count("found where not done")

    def unfinished(self, start: int = 0) -> Iterator[Stored]:
        """Yields these, in the order in which they were noted, from one of `starts` on."""
        wanted = "select name, version from found where not done and rowid >= ? order by rowid"
        for name, version in self._index.execute(wanted, [start]):
            yield Stored(os.fsdecode(name), version)

    def starts(self, n: int) -> Iterator[int]:
        """Yields the number of every ``n``-th unfinished document, from the first one on."""
        wanted = "select rowid from found where not done order by rowid"
        for (number,) in islice(self._index.execute(wanted), 0, None, n):
            yield number

    def missing(self, task: ReadTask) -> ReadTask:
        """The task without the pages that were read."""
        keys = {page: self._job.page_key(task.source, task.document, page) for page in task.pages}
        return task.only(page for page, key in keys.items() if not self.has(key))

    def has(self, key: str) -> bool:
        """Whether a page was read; notes that this run wants it."""
        known = self._index.execute("update pages set wanted = 1 where key = ?", [key])
        return bool(known.rowcount)

    def claim(self, key: str, claimant: str) -> bool:
        """Whether this claimant is the first to ask for a key; it may ask again."""
        self._index.execute("insert or ignore into claims values (?, ?)", [key, claimant])
        wanted = "select 1 from claims where key = ? and claimant = ?"
        return self._index.execute(wanted, [key, claimant]).fetchone() is not None

    def _count(self, what: str) -> int:
        count: int = self._index.execute(f"select count(*) from {what}").fetchone()[0]
        return count
