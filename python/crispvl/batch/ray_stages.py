"""What a Ray cluster does with documents and pages: the stages of a data set, and their index."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import ray
from ray.data import Datasink

from crispvl.batch.documents import Parcel, ReadTask
from crispvl.batch.isolated import IsolatedReader
from crispvl.batch.job import Job
from crispvl.batch.ledger import Ledger
from crispvl.batch.page_reader import ReaderFactory
from crispvl.batch.parts import ROWS_PER_PART, write_part
from crispvl.batch.rows import Row
from crispvl.batch.storage import Folder, Stored
from crispvl.batch.table import note_table
from crispvl.batch.tasks import IsolatedOpener, Opener, Shares, still_to_do

_Batch = dict[str, Any]


@dataclass(frozen=True)
class Pool:
    """Readers of one kind, side by side with those of another."""

    name: str
    n_workers: int
    """At most; Ray starts as many as there is room for."""
    n_gpus: float = 0.0
    """Of each."""

    def job(self, job: Job) -> Job:
        """The job as these readers do it; the device is no part of what is read."""
        if self.n_gpus:
            return job
        return replace(job, load=replace(job.load, device="cpu", max_memory=None))


@ray.remote(num_cpus=0)
class SharedLedger:
    """The index of documents and of what the table has, for all machines."""

    def __init__(self, job: Job) -> None:
        self._job, self._ledger = job, Ledger(job)
        self._unfinished: Iterator[Stored] = iter(())

    def note_table(self) -> None:
        note_table(self._job, Folder(self._job.out), self._ledger)

    def expect(self, found: list[Stored]) -> None:
        self._ledger.expect(found)

    def counts(self) -> tuple[int, int]:
        """Pages of the table, and documents that may have others."""
        self._unfinished = self._ledger.unfinished()
        return self._ledger.n_kept, self._ledger.n_unfinished

    def next_unfinished(self, n: int) -> list[Stored]:
        return list(islice(self._unfinished, n))

    def missing(self, task: ReadTask) -> ReadTask:
        return self._ledger.missing(task)

    def has(self, key: str) -> bool:
        return self._ledger.has(key)

    def claim(self, keys: list[str], pool: str) -> list[bool]:
        return [self._ledger.claim(key, pool) for key in keys]


class _RemoteLedger:
    """`Ledger` as an opener sees it."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def missing(self, task: ReadTask) -> ReadTask:
        missing: ReadTask = ray.get(self._actor.missing.remote(task))
        return missing

    def has(self, key: str) -> bool:
        known: bool = ray.get(self._actor.has.remote(key))
        return known


class DocumentOpener:
    """Opens documents and finds the pages that the table lacks."""

    def __init__(self, job: Job, ledger: Any, shares: Shares, opener: Opener) -> None:
        self._open = IsolatedOpener(job, opener)
        self._ledger, self._shares = _RemoteLedger(ledger), shares

    def __call__(self, document: dict[str, Any]) -> Iterator[dict[str, Any]]:
        left = still_to_do(self._ledger, self._open(pickle.loads(document["found"])))
        if left is not None:
            tasks = self._shares.split(left) if isinstance(left, ReadTask) else [left]
            yield from ({"task": pickle.dumps(task)} for task in tasks)


class ParcelReader:
    """Reads the pages of tasks in a process that may die; those of another pool are left to it."""

    def __init__(
        self, job: Job, ledger: Any, pool: Pool, shares: Shares, factory: ReaderFactory
    ) -> None:
        self._job, self._ledger, self._pool, self._shares = job, ledger, pool, shares
        self._reader = IsolatedReader(pool.job(job), job.load.threads or 1, factory)

    def __call__(self, batch: _Batch) -> Iterator[_Batch]:
        for parcel in self._shares.parcels(map(pickle.loads, batch["task"])):
            if rows := list(self._rows(parcel)):
                yield {"row": [pickle.dumps(row) for row in rows]}

    def _rows(self, parcel: Parcel | Row) -> Iterable[Row]:
        if isinstance(parcel, dict):
            return [parcel] if self._claimed([parcel["key"]])[0] else []
        keys = [self._job.page_key(t.source, t.document, t.pages[0]) for t in parcel]
        mine = tuple(task for task, ok in zip(parcel, self._claimed(keys), strict=True) if ok)
        return self._reader.read(mine) if mine else []

    def _claimed(self, keys: list[str]) -> list[bool]:
        claimed: list[bool] = ray.get(self._ledger.claim.remote(keys, self._pool.name))
        return claimed


class PartSink(Datasink[Counter[str]]):
    """Writes finished rows as parts of the table.

    Attributes:
        n_read: Rows written, once all are.
        failures: Of these, the failed ones by kind.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self.failures: Counter[str] = Counter()
        self.n_read = 0

    def write(self, blocks: Iterable[Any], ctx: Any) -> Counter[str]:
        folder, failures = Folder(self._job.out), Counter[str]()
        found = (block for block in blocks if block.num_rows)  # without rows, it has no columns
        rows = (pickle.loads(data.as_py()) for block in found for data in block["row"])
        while part := list(islice(rows, ROWS_PER_PART)):
            write_part(folder, part, self._job.format)
            failures.update(str(row["error_type"] or "") for row in part)
        return failures

    def on_write_complete(self, write_result: Any) -> None:
        for counted in write_result.write_returns:
            self.failures += counted
        self.n_read = sum(self.failures.values())
        del self.failures[""]
