"""The same batch on a Ray cluster: Ray Data moves the pages, `ray_stages` says what is done.

Openers are CPU tasks, readers are actors with a process and a model each, parts are written by the
tasks of a data sink. Ray starts what died again; what was written stays, under names made of the
pages' keys, so that a part that is written twice is one part.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pyarrow as pa
import ray

from crispvl.batch.documents import check_inputs, find_documents
from crispvl.batch.job import Job
from crispvl.batch.page_reader import EnginePageReader, ReaderFactory
from crispvl.batch.ray_stages import DocumentOpener, ParcelReader, PartSink, Pool, SharedLedger
from crispvl.batch.storage import Folder
from crispvl.batch.summary import Summary
from crispvl.batch.table import write_settings
from crispvl.batch.tasks import Opener, Shares, opened
from crispvl.errors import CrispVLError, WorkerDiedError

_DOCUMENTS_PER_CALL = 1000
_DOCUMENTS_PER_BLOCK = 8
_MOST_BLOCKS = 4096
_OPENER_CPUS = 0.25  # it waits for files most of the time


def run_on_ray(
    job: Job,
    n_workers: int,
    factory: ReaderFactory = EnginePageReader,
    opener: Opener = opened,
    *,
    n_gpu_workers: int = 0,
    worker_gpus: float = 1.0,
) -> Summary:
    """Reads what the table lacks on the cluster that Ray is connected to, or one of this machine.

    Args:
        job: What to read; every machine must reach its inputs, its model and its output.
        n_workers: Most readers on CPUs; Ray starts as many as there is room for.
        factory: Makes the reader of each.
        opener: Opens documents.
        n_gpu_workers: Most readers on GPUs, beside these.
        worker_gpus: GPUs of each of them.

    Raises:
        DocumentError: There is no document.
        OutputError: The table cannot be read or written to.
        ModelFileError: The model is unusable.
        WorkerDiedError: The cluster itself failed.
        ValueError: Another run writes to the table.
    """
    check_inputs(job.inputs)
    begun = time.monotonic()
    folder = Folder(job.out)
    named = Pool("cpu", n_workers), Pool("gpu", n_gpu_workers, worker_gpus)
    pools = [pool for pool in named if pool.n_workers]
    with folder.claimed(), _own_errors():
        if not ray.is_initialized():
            ray.init()
        shared: Any = SharedLedger  # which Ray's decorator made an actor's class
        ledger = shared.remote(job)
        ray.get(ledger.note_table.remote())
        documents = find_documents(job.inputs)
        while some := list(islice(documents, _DOCUMENTS_PER_CALL)):
            ray.get(ledger.expect.remote(some))
        n_kept, n_documents = ray.get(ledger.counts.remote())
        shares = Shares(n_documents, n_workers + n_gpu_workers)
        summary = Summary(n_workers=shares.n_workers, n_kept=n_kept, n_documents=n_documents)
        if n_documents:
            write_settings(job, folder)
            parts = PartSink(job)
            _rows(job, ledger, shares, pools, factory, opener).write_datasink(parts)
            summary.n_read, summary.failures = parts.n_read, parts.failures
    summary.seconds = time.monotonic() - begun
    return summary


def _rows(
    job: Job,
    ledger: Any,
    shares: Shares,
    pools: Sequence[Pool],
    factory: ReaderFactory,
    opener: Opener,
) -> Any:
    """The data set of the rows that the table lacks; nothing is read before it is written.

    Each pool takes all documents, the second one from the end, and leaves out what the other has
    claimed: they meet where their rates make them meet.
    """
    blocks = list(_document_blocks(ledger, shares.n_documents))
    n_tasks, n_threads = shares.most_pages(), job.load.threads or 1
    read: list[Any] = []
    for pool in pools:
        documents = ray.data.from_arrow_refs(blocks[:: -1 if read else 1])
        tasks = documents.flat_map(
            DocumentOpener,
            fn_constructor_args=(job, ledger, shares, opener),
            num_cpus=_OPENER_CPUS,
        )
        rows = tasks.repartition(target_num_rows_per_block=n_tasks).map_batches(
            ParcelReader,
            fn_constructor_args=(job, ledger, pool, shares, factory),
            batch_size=n_tasks,
            num_cpus=n_threads,
            num_gpus=pool.n_gpus or None,
            concurrency=(1, pool.n_workers),
        )
        read.append(rows)
    return read[0].union(*read[1:]) if read[1:] else read[0]


def _document_blocks(ledger: Any, n_documents: int) -> Iterator[Any]:
    """References to tables of the documents that are not finished; Ray's store holds the tables."""
    n_rows = max(_DOCUMENTS_PER_BLOCK, n_documents // _MOST_BLOCKS)
    while block := ray.get(ledger.next_unfinished.remote(n_rows)):
        yield ray.put(pa.table({"found": list(map(pickle.dumps, block))}))


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raises what Ray wraps in errors of its own."""
    try:
        yield
    except ray.exceptions.RayError as error:
        raise _ours(error) from error


def _ours(error: BaseException) -> Exception:
    cause: BaseException | None = error
    while cause is not None:
        is_rays = isinstance(cause, ray.exceptions.RayError)
        if isinstance(cause, (CrispVLError, OSError, ValueError)) and not is_rays:
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    return WorkerDiedError(
        f"[ray] expected a cluster that keeps its workers; found {error}; look at its dashboard "
        "and run the batch again, which reads only what is missing"
    )
