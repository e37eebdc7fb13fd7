"""A batch from its documents to its table and summary."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from crispvl.batch.documents import ReadTask, check_inputs, find_documents
from crispvl.batch.job import Job
from crispvl.batch.ledger import Ledger
from crispvl.batch.local import read_locally
from crispvl.batch.page_reader import EnginePageReader, ReaderFactory
from crispvl.batch.parts import ROWS_PER_PART, write_part
from crispvl.batch.rows import Row
from crispvl.batch.storage import Folder, Stored
from crispvl.batch.table import note_table, write_settings
from crispvl.batch.tasks import IsolatedOpener, Opener, Shares, opened, still_to_do

_SECONDS_PER_PART = 60.0  # a slow model's pages are kept before a part is full


@dataclass
class Summary:
    """What a run did."""

    n_read: int = 0
    n_kept: int = 0
    """Pages that the table had before."""
    n_documents: int = 0
    """That may have pages to read."""
    n_opened: int = 0
    """Of these, so far."""
    n_to_read: int = 0
    """Pages of those that were opened."""
    n_done: int = 0
    """Of these, the ones that workers are done with; `n_read` were written."""
    failures: Counter[str] = field(default_factory=Counter)
    """Pages with an error, by its kind."""
    seconds: float = 0.0
    n_workers: int = 1

    def add(self, rows: list[Row]) -> None:
        """Counts rows that were written."""
        self.n_read += len(rows)
        self.failures.update(row["error_type"] for row in rows if row["error_type"] is not None)

    @property
    def pages_per_second(self) -> float:
        """Of this run."""
        return self.n_read / self.seconds if self.seconds else 0.0

    def progress(self) -> str:
        """How far the run is, in a line; the time left follows from documents opened so far."""
        told = f"{self.n_done} of {self.n_to_read} pages"
        told += f" of {self.n_opened} of {self.n_documents} documents"
        if not (self.n_done and self.n_opened and self.seconds):
            return told
        rate = self.n_done / self.seconds
        n_left = self.n_to_read * self.n_documents / self.n_opened - self.n_done
        return f"{told}, {rate:.1f} pages/s, {n_left / rate / 60:.0f} min left"

    def to_dict(self, price_per_hour: float | None = None) -> dict[str, Any]:
        """The same as `lines`, as JSON's types."""
        return {
            "n_read": self.n_read,
            "n_kept": self.n_kept,
            "failures": dict(self.failures),
            "seconds": self.seconds,
            "n_workers": self.n_workers,
            "pages_per_second": self.pages_per_second,
            "cost_per_1000_pages": self._cost(price_per_hour),
        }

    def _cost(self, price_per_hour: float | None) -> float | None:
        if price_per_hour is None or not self.n_read:
            return None
        return price_per_hour / 3600 * 1000 / self.pages_per_second

    def lines(self, price_per_hour: float | None = None) -> Iterator[str]:
        """Sentences for people; the price is of all workers together."""
        yield f"{self.n_read} pages read in {self.seconds:.1f} s; {self.n_kept} were read before"
        if self.n_read:
            each = self.pages_per_second / self.n_workers
            yield f"{self.pages_per_second:.2f} pages/s, {each:.2f} per worker"
            cost = self._cost(price_per_hour)
            if cost is not None:
                yield f"{cost:.4f} per 1000 pages"
        for kind, n in self.failures.most_common():
            yield f"{n} failed: {kind}"


def run_on_this_machine(
    job: Job,
    n_workers: int,
    *,
    factory: ReaderFactory = EnginePageReader,
    opener: Opener = opened,
    on_rows: Callable[[Summary], object] = lambda summary: None,
) -> Summary:
    """Reads what the table lacks, on this machine.

    Args:
        job: What to read, and where to.
        n_workers: Processes.
        factory: Makes the reader of each.
        opener: Opens documents, in a process of its own.
        on_rows: Told the summary so far, after each parcel.

    Raises:
        DocumentError: There is no document.
        OutputError: The table cannot be read or written to.
        ModelFileError: The model is unusable.
        ValueError: Another run writes to the table.
    """
    check_inputs(job.inputs)
    begun = time.monotonic()
    folder = Folder(job.out)
    with folder.claimed(), Ledger(job) as ledger, IsolatedOpener(job, opener) as open_document:
        note_table(job, folder, ledger)
        ledger.expect(find_documents(job.inputs))
        summary = Summary(
            n_workers=n_workers, n_kept=ledger.n_kept, n_documents=ledger.n_unfinished
        )
        if summary.n_documents:
            write_settings(job, folder)
        shares = Shares(summary.n_documents, n_workers)
        tasks = _tasks(ledger, open_document, shares, summary)
        parts = _Parts(folder, job, summary)
        try:
            for rows in read_locally(job, shares.parcels(tasks), n_workers, factory):
                parts.add(rows)
                summary.n_done += len(rows)
                summary.seconds = time.monotonic() - begun
                on_rows(summary)
        finally:
            parts.flush()
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
    """Collects rows and writes them as parts."""

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

    def flush(self) -> None:
        """Writes what there is."""
        rows = list(self._rows.values())
        if rows:
            write_part(self._folder, rows, self._job.format)
            self._summary.add(rows)
        self._rows, self._since = {}, time.monotonic()
