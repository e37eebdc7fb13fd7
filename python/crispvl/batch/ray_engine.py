"""The same batch on a Ray cluster: Ray Data moves the pages, this says what is done with each.

Openers are CPU tasks, readers are actors with a process and a model each, parts are written by the
tasks of a data sink. Ray starts what died again; what was written stays, under names made of the
pages' keys, so that a part that is written twice is one part.
"""

from __future__ import annotations

import pickle
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
import ray
from ray.data import Datasink

from crispvl.batch.documents import ReadTask, find_documents
from crispvl.batch.isolated import IsolatedReader
from crispvl.batch.job import Job
from crispvl.batch.ledger import Ledger
from crispvl.batch.page_reader import EnginePageReader, ReaderFactory
from crispvl.batch.parts import ROWS_PER_PART, drop_failed, identities, write_part
from crispvl.batch.run import Summary
from crispvl.batch.storage import Folder, Stored
from crispvl.batch.tasks import missing_tasks

_DOCUMENTS_PER_BLOCK = 8
_TASKS_PER_BATCH = 4
_READER_CPUS = 1.0
_OPENER_CPUS = 0.25  # it waits for files most of the time
_Batch = dict[str, Any]


@ray.remote(num_cpus=0)
class _SharedLedger:
    """The index of what the table has, for the openers of all machines."""

    def __init__(self, job: Job) -> None:
        self._ledger = Ledger(job)
        self._ledger.add(identities(Folder(job.out), job.format))
        self._job = job

    def n_pages(self) -> int:
        return self._ledger.n_pages

    def unfinished(self, found: list[Stored]) -> list[bool]:
        return [not self._ledger.has_all_of(document) for document in found]

    def missing(self, tasks: list[ReadTask]) -> list[ReadTask]:
        return [self._ledger.missing(task) for task in tasks]

    def has(self, key: str) -> bool:
        return self._ledger.has(key)


class _RemoteLedger:
    """`Ledger` as an opener sees it."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def has_all_of(self, found: Stored) -> bool:
        unfinished: list[bool] = ray.get(self._actor.unfinished.remote([found]))
        return not unfinished[0]

    def missing(self, task: ReadTask) -> ReadTask:
        missing: list[ReadTask] = ray.get(self._actor.missing.remote([task]))
        return missing[0]

    def has(self, key: str) -> bool:
        known: bool = ray.get(self._actor.has.remote(key))
        return known


class _Opener:
    """Opens documents and finds the pages that the table lacks."""

    def __init__(self, job: Job, ledger: Any) -> None:
        self._job, self._ledger = job, _RemoteLedger(ledger)

    def __call__(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        found = Stored(document["name"], document["version"])
        tasks = missing_tasks(self._job, self._ledger, found)
        return [{"task": pickle.dumps(task)} for task in tasks]


class _Reader:
    """Reads the pages of tasks in a process that may die."""

    def __init__(self, job: Job, factory: ReaderFactory) -> None:
        self._reader = IsolatedReader(job, int(_READER_CPUS), factory)

    def __call__(self, batch: _Batch) -> Iterator[_Batch]:
        for data in batch["task"]:
            task = pickle.loads(data)
            rows = self._reader.read(task) if isinstance(task, ReadTask) else [task]
            yield {"row": [pickle.dumps(row) for row in rows]}


class _Parts(Datasink[Counter[str]]):
    """Writes finished rows as parts of the table."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.failures: Counter[str] = Counter()
        self.n_read = 0

    def write(self, blocks: Iterable[Any], ctx: Any) -> Counter[str]:
        folder, failures = Folder(self._job.out), Counter[str]()
        rows = (pickle.loads(data.as_py()) for block in blocks for data in block["row"])
        while part := list(islice(rows, ROWS_PER_PART)):
            write_part(folder, part, self._job.format)
            failures.update(str(row["error_type"] or "") for row in part)
        return failures

    def on_write_complete(self, write_result: Any) -> None:
        for counted in write_result.write_returns:
            self.failures += counted
        self.n_read = sum(self.failures.values())
        del self.failures[""]


def run_on_ray(job: Job, n_workers: int, factory: ReaderFactory = EnginePageReader) -> Summary:
    """Reads what the table lacks on the cluster that Ray is connected to, or one of this machine.

    Args:
        job: What to read; every machine must reach its inputs, its model and its output.
        n_workers: Most readers; Ray starts as many as there is room for.
        factory: Makes the reader of each.
    """
    if not ray.is_initialized():
        ray.init()
    begun = time.monotonic()
    folder = Folder(job.out)
    folder.make()
    if job.retry_failed:
        drop_failed(folder, job)
    shared: Any = _SharedLedger  # which Ray's decorator made an actor's class
    ledger = shared.remote(job)
    summary = Summary(n_workers=n_workers, n_kept=ray.get(ledger.n_pages.remote()))
    blocks = list(_document_blocks(job, ledger))
    if blocks:
        parts = _Parts(job)
        (
            ray.data.from_arrow_refs(blocks)
            .flat_map(_Opener, fn_constructor_args=(job, ledger), num_cpus=_OPENER_CPUS)
            .repartition(target_num_rows_per_block=_TASKS_PER_BATCH)
            .map_batches(
                _Reader,
                fn_constructor_args=(job, factory),
                batch_size=_TASKS_PER_BATCH,
                num_cpus=_READER_CPUS,
                concurrency=(1, n_workers),
            )
            .write_datasink(parts)
        )
        summary.n_read, summary.failures = parts.n_read, parts.failures
    summary.seconds = time.monotonic() - begun
    return summary


def _document_blocks(job: Job, ledger: Any) -> Iterator[Any]:
    """References to tables of the documents that are not finished; Ray's store holds the tables."""
    documents = find_documents(job.inputs)
    while block := list(islice(documents, _DOCUMENTS_PER_BLOCK)):
        wanted = ray.get(ledger.unfinished.remote(block))
        left = [found for found, is_wanted in zip(block, wanted, strict=True) if is_wanted]
        if left:
            columns = {"name": [f.name for f in left], "version": [f.version for f in left]}
            yield ray.put(pa.table(columns))
