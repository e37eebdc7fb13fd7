"""What a Ray cluster does with documents and pages: the stages of a data set, and their index."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any
from uuid import uuid4

import ray

from crispvl.batch.documents import Parcel, ReadTask
from crispvl.batch.isolated import IsolatedReader
from crispvl.batch.job import Job
from crispvl.batch.ledger import Ledger
from crispvl.batch.parts import write_part
from crispvl.batch.readers import ReaderFactory
from crispvl.batch.rows import Row
from crispvl.batch.storage import Folder, Stored
from crispvl.batch.summary import Failures
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

    def note_table(self) -> None:
        note_table(self._job, Folder(self._job.out), self._ledger)

    def expect(self, found: list[Stored]) -> None:
        self._ledger.expect(found)

    def counts(self) -> tuple[int, int]:
        """Pages of the table, and documents that may have others."""
        return self._ledger.n_kept, self._ledger.n_unfinished

    def n_failed(self) -> int:
        return self._ledger.n_failed

    def block_starts(self, n: int) -> list[int]:
        """Where blocks of ``n`` such documents begin."""
        return list(self._ledger.starts(n))

    def block(self, start: int, n: int) -> list[Stored]:
        """The block that begins there."""
        return list(islice(self._ledger.unfinished(start), n))

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
    """Opens a block of documents and makes parcels of the pages that the table lacks."""

    def __init__(self, job: Job, ledger: Any, n_rows: int, shares: Shares, opener: Opener) -> None:
        self._open = IsolatedOpener(job, opener)
        self._open.start()
        self._ledger, self._n_rows, self._shares = ledger, n_rows, shares

    def __call__(self, starts: _Batch) -> Iterator[_Batch]:
        for parcel in self._shares.parcels(self._tasks(starts)):
            yield {"parcel": [pickle.dumps(parcel)]}

    def _tasks(self, starts: _Batch) -> Iterator[ReadTask | Row]:
        known = _RemoteLedger(self._ledger)
        for start in starts["item"]:
            for found in ray.get(self._ledger.block.remote(int(start), self._n_rows)):
                left = still_to_do(known, self._open(found))
                if left is not None:
                    yield from self._shares.split(left) if isinstance(left, ReadTask) else [left]


class ParcelReader:
    """Reads parcels in a process that may die; what another pool has claimed is left to it."""

    def __init__(self, job: Job, ledger: Any, pool: Pool, factory: ReaderFactory) -> None:
        self._job, self._ledger, self._pool = job, ledger, pool
        self._reader = IsolatedReader(pool.job(job), job.load.threads or 1, factory)
        self._reader.start()  # while the first documents are opened
        self._name = uuid4().hex

    def __call__(self, batch: _Batch) -> Iterator[_Batch]:
        for parcel in map(pickle.loads, batch["parcel"]):
            if rows := list(self._rows(parcel)):
                yield {"rows": [pickle.dumps(rows)], "reader": [self._name]}

    def _rows(self, parcel: Parcel | Row) -> Iterable[Row]:
        if isinstance(parcel, dict):
            return [parcel] if self._claimed([parcel["key"]])[0] else []
        keys = [self._job.page_key(t.source, t.document, t.pages[0]) for t in parcel]
        mine = tuple(task for task, ok in zip(parcel, self._claimed(keys), strict=True) if ok)
        return self._reader.read(mine) if mine else []

    def _claimed(self, keys: list[str]) -> list[bool]:
        claimed: list[bool] = ray.get(self._ledger.claim.remote(keys, self._pool.name))
        return claimed


@dataclass
class Written:
    """What parts hold that were written."""

    n_rows: int = 0
    failures: Failures = field(default_factory=Failures)
    readers: set[str] = field(default_factory=set)
    """Who read them."""

    def add(self, other: Written) -> None:
        self.n_rows += other.n_rows
        self.failures.add(other.failures)
        self.readers |= other.readers


class PartWriter:
    """Writes the rows of some parcels as a part of the table, and tells what it wrote."""

    def __init__(self, job: Job) -> None:
        self._folder, self._format = Folder(job.out), job.format

    def __call__(self, batch: _Batch) -> _Batch:
        rows = [row for parcel in batch["rows"] for row in pickle.loads(parcel)]
        write_part(self._folder, rows, self._format)
        written = Written(len(rows), Failures.of(rows), set(batch["reader"]))
        return {"written": [pickle.dumps(written)]}
