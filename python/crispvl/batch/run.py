"""A batch from its documents to its table and summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext

from crispvl.batch.documents import ReadTask, check_inputs, find_documents
from crispvl.batch.job import Job
from crispvl.batch.ledger import Ledger
from crispvl.batch.local import read_locally
from crispvl.batch.parts import ROWS_PER_PART, write_part
from crispvl.batch.readers import ReaderFactory, engine_reader
from crispvl.batch.rows import Row
from crispvl.batch.storage import Folder, Stored
from crispvl.batch.summary import Summary
from crispvl.batch.table import note_table, settings_written
from crispvl.batch.tasks import IsolatedOpener, Opener, Shares, opened, still_to_do
from crispvl.extras import need_all

_SECONDS_PER_PART = 60.0  # a slow model's pages are kept before a part is full


def run_on_this_machine(
    job: Job,
    n_workers: int,
    *,
    factory: ReaderFactory = engine_reader,
    opener: Opener = opened,
    on_rows: Callable[[Summary], object] = lambda summary: None,
) -> Summary:
    """Reads what the table lacks, on this machine.

    Args:
        job: What to read, and where to.
        n_workers: Processes.
        factory: Makes the reader of each.
        opener: Opens documents, in a process of its own.
        on_rows: Called with the summary so far, after each parcel.

    Raises:
        DocumentError: There is no document.
        ImportError: The extra batch is not installed.
        OutputError: The table cannot be read or written to.
        ModelFileError: The model is unusable.
        ValueError: Another run writes to the table.
    """
    need_all("batch", "batch")
    check_inputs(job.inputs)
    begun = time.monotonic()
    folder = Folder(job.out)
    with folder.claimed(), Ledger(job) as ledger, IsolatedOpener(job, opener) as open_document:
        ledger.expect(find_documents(job.inputs))
        note_table(job, folder, ledger)
        summary = Summary(
            n_workers=n_workers,
            n_kept=ledger.n_kept,
            n_documents=ledger.n_unfinished,
        )
        shares = Shares(summary.n_documents, n_workers)
        tasks = _tasks(ledger, open_document, shares, summary)
        read = read_locally(job, shares.parcels(tasks), n_workers, factory)
        settings = settings_written(job, folder) if summary.n_documents else nullcontext()
        with settings, _Parts(folder, job, summary) as parts:
            for rows in read:
                parts.add(rows)
                summary.n_done += len(rows)
                summary.seconds = time.monotonic() - begun
                on_rows(summary)
        summary.n_kept_failed = ledger.n_failed
    summary.seconds = time.monotonic() - begun
    return summary


def _tasks(
    ledger: Ledger,
    open_document: Callable[[Stored], ReadTask | Row],
    shares: Shares,
    summary: Summary,
) -> Iterator[ReadTask | Row]:
    for found in ledger.unfinished():
        left = still_to_do(ledger, open_document(found))
        summary.n_opened += 1
        if isinstance(left, ReadTask):
            summary.n_to_read += len(left.pages)
            yield from shares.split(left)
        elif left is not None:
            summary.n_to_read += 1
            yield left


class _Parts:
    """Collects rows and writes them as parts; as a context, the last ones at its end."""

    def __init__(self, folder: Folder, job: Job, summary: Summary) -> None:
        self._folder, self._job, self._summary = folder, job, summary
        self._rows: dict[str, Row] = {}
        self._since = time.monotonic()

    def add(self, rows: list[Row]) -> None:
        """Takes rows; the same page twice in the inputs is one row."""
        self._rows |= {row["key"]: row for row in rows}
        waited = time.monotonic() - self._since
        if len(self._rows) >= ROWS_PER_PART or waited > _SECONDS_PER_PART:
            self.flush()

    def __enter__(self) -> _Parts:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def flush(self) -> None:
        """Writes what there is."""
        rows = list(self._rows.values())
        if rows:
            write_part(self._folder, rows, self._job.format)
            self._summary.add(rows)
        self._rows, self._since = {}, time.monotonic()
