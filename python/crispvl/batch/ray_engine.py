"""The same batch on a Ray cluster: Ray Data moves the pages, `ray_stages` says what is done.

Openers, readers and writers are actors; a reader has a process with a model. Ray starts what died
again; what was written stays, under names made of the pages' keys, so that a part that is written
twice is one part.
"""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from crispvl.batch.documents import check_inputs, find_documents
from crispvl.batch.job import Job
from crispvl.batch.parts import ROWS_PER_PART
from crispvl.batch.ray_cluster import connect, own_errors
from crispvl.batch.ray_stages import (
    DocumentOpener,
    ParcelReader,
    PartWriter,
    Pool,
    SharedLedger,
    Written,
)
from crispvl.batch.readers import ReaderFactory, engine_reader
from crispvl.batch.storage import Folder
from crispvl.batch.summary import Summary
from crispvl.batch.table import settings_written
from crispvl.batch.tasks import MOST_PAGES, Opener, Shares, opened

_DOCUMENTS_PER_CALL = 1000
_DOCUMENTS_PER_BLOCK = 8
_MOST_BLOCKS = 4096
_PARCELS_PER_READER = 2  # one being read, one ready
_READERS_PER_HELPER = 4


def run_on_ray(
    job: Job,
    n_workers: int,
    factory: ReaderFactory = engine_reader,
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
        ClusterError: The cluster cannot be reached or started, or failed.
        ValueError: Another run writes to the table, or this machine alone has no room for a reader.
    """
    check_inputs(job.inputs)
    begun = time.monotonic()
    folder = Folder(job.out)
    named = Pool("cpu", n_workers), Pool("gpu", n_gpu_workers, worker_gpus)
    pools = [pool for pool in named if pool.n_workers]
    with folder.claimed(), own_errors():
        connect(pools, job.load.threads or 1)
        shared: Any = SharedLedger  # which Ray's decorator made an actor's class
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        ledger = shared.options(scheduling_strategy=here).remote(job)
        documents = find_documents(job.inputs)
        while some := list(islice(documents, _DOCUMENTS_PER_CALL)):
            ray.get(ledger.expect.remote(some))
        ray.get(ledger.note_table.remote())
        n_kept, n_documents = ray.get(ledger.counts.remote())
        shares = Shares(n_documents, n_workers + n_gpu_workers)
        summary = Summary(
            n_workers=shares.n_workers,
            n_kept=n_kept,
            n_documents=n_documents,
        )
        if n_documents:
            written = Written()
            with settings_written(job, folder):
                parts = _parts(job, ledger, shares, pools, factory, opener)
                for batch in parts.iter_batches(batch_size=None):
                    for told in batch["written"]:
                        written.add(pickle.loads(told))
            summary.n_read, summary.failures = written.n_rows, written.failures
            summary.n_workers = min(len(written.readers), shares.n_workers) or shares.n_workers
        summary.n_kept_failed = ray.get(ledger.n_failed.remote())
    summary.seconds = time.monotonic() - begun
    return summary


def _parts(
    job: Job,
    ledger: Any,
    shares: Shares,
    pools: Sequence[Pool],
    factory: ReaderFactory,
    opener: Opener,
) -> Any:
    """The data set of what the table lacks, written as parts while it is iterated over.

    Each pool takes all documents, the second one from the end, and leaves out what the other has
    claimed: they meet where their rates make them meet. Readers are asked for at once: those that
    find no room start when machines join.
    """
    from ray.data import ActorPoolStrategy  # takes seconds, while the ledger's actor starts

    n_threads = job.load.threads or 1
    n_rows = max(_DOCUMENTS_PER_BLOCK, shares.n_documents // _MOST_BLOCKS)
    starts = ray.get(ledger.block_starts.remote(n_rows))
    read: list[Any] = []
    for pool in pools:
        blocks = ray.data.from_items(starts[:: -1 if read else 1], override_num_blocks=len(starts))
        # Ray gives a block to an actor at a time: each parcel is a block of its own.
        blocks.context.target_max_block_size = 1
        parcels = blocks.map_batches(
            DocumentOpener,
            fn_constructor_args=(job, ledger, n_rows, shares, opener),
            batch_size=None,
            **_helpers(pool.n_workers),
        )
        rows = parcels.map_batches(
            ParcelReader,
            fn_constructor_args=(job, ledger, pool, factory),
            batch_size=1,
            compute=ActorPoolStrategy(
                size=pool.n_workers, max_tasks_in_flight_per_actor=_PARCELS_PER_READER
            ),
            num_cpus=n_threads,
            num_gpus=pool.n_gpus or None,
        )
        read.append(rows)
    rows = read[0].union(*read[1:]) if read[1:] else read[0]
    return rows.map_batches(
        PartWriter,
        fn_constructor_args=(job,),
        batch_size=ROWS_PER_PART // MOST_PAGES,
        **_helpers(shares.n_workers),
    )


def _helpers(n_readers: int) -> dict[str, Any]:
    """Actors that mostly wait: as they ask for no CPU, they have a place beside busy readers."""
    from ray.data import ActorPoolStrategy

    most = math.ceil(n_readers / _READERS_PER_HELPER)
    return {"compute": ActorPoolStrategy(min_size=1, max_size=most), "num_cpus": 0}
