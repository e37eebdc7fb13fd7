"""A batch from its documents to its table and summary."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from crispvl.batch.documents import ReadTask, find_documents
from crispvl.batch.job import Job
from crispvl.batch.ledger import Ledger
from crispvl.batch.local import read_locally
from crispvl.batch.page_reader import EnginePageReader, ReaderFactory
from crispvl.batch.parts import ROWS_PER_PART, drop_failed, identities, write_part
from crispvl.batch.rows import Row
from crispvl.batch.storage import Folder
from crispvl.batch.tasks import missing_tasks

_SECONDS_PER_PART = 60.0  # a slow model's pages are kept before a part is full


@dataclass
class Summary:
    """What a run did."""

    n_read: int = 0
    n_kept: int = 0
    """Pages that the table had before."""
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

    def lines(self, price_per_hour: float | None = None) -> Iterator[str]:
        """Sentences for people; the price is of all workers together."""
        yield f"{self.n_read} pages read in {self.seconds:.1f} s; {self.n_kept} were read before"
        if self.n_read:
            each = self.pages_per_second / self.n_workers
            yield f"{self.pages_per_second:.2f} pages/s, {each:.2f} per worker"
            if price_per_hour is not None:
                cost = price_per_hour / 3600 * 1000 / self.pages_per_second
                yield f"{cost:.4f} per 1000 pages"
        for kind, n in self.failures.most_common():
            yield f"{n} failed: {kind}"


def run_on_this_machine(
    job: Job,
    n_workers: int,
    *,
    factory: ReaderFactory = EnginePageReader,
    on_rows: Callable[[Summary], object] = lambda summary: None,
) -> Summary:
    """Reads what the table lacks, on this machine.

    Args:
        job: What to read, and where to.
        n_workers: Processes.
        factory: Makes the reader of each.
        on_rows: Told the summary so far, after each task.

    Raises:
        DocumentError: There is no document, or the output cannot be opened.
        ModelFileError: The model is unusable.
    """
    folder = Folder(job.out)
    folder.make()
    begun = time.monotonic()
    summary = Summary(n_workers=n_workers)
    with Ledger(job) as ledger:
        if job.retry_failed:
            drop_failed(folder, job)
        ledger.add(identities(folder, job.format))
        summary.n_kept = ledger.n_pages
        parts = _Parts(folder, job, summary)
        try:
            for rows in read_locally(job, _tasks(job, ledger), n_workers, factory):
                parts.add(rows)
                summary.seconds = time.monotonic() - begun
                on_rows(summary)
        finally:
            parts.flush()
    summary.seconds = time.monotonic() - begun
    return summary


def _tasks(job: Job, ledger: Ledger) -> Iterator[ReadTask | Row]:
    for found in find_documents(job.inputs):
        yield from missing_tasks(job, ledger, found)


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
