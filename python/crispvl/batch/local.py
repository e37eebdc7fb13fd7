"""The workers of one machine: processes that share the model's memory map."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from crispvl.batch.documents import Parcel
from crispvl.batch.isolated import IsolatedReader
from crispvl.batch.job import Job
from crispvl.batch.readers import ReaderFactory, engine_reader
from crispvl.batch.rows import Row

_PARCELS_PER_WORKER = 2  # one being read, one ready


def read_locally(
    job: Job,
    parcels: Iterable[Parcel | Row],
    n_workers: int,
    factory: ReaderFactory = engine_reader,
) -> Iterator[list[Row]]:
    """Yields the rows of each parcel as it is done; rows among the parcels are passed on.

    Parcels are taken as workers become free, so that memory does not grow with their number.
    """
    from crispvl._core import usable_cores

    n_threads = max(1, usable_cores() // n_workers)
    readers = [IsolatedReader(job, n_threads, factory) for _ in range(n_workers)]
    free: queue.SimpleQueue[IsolatedReader] = queue.SimpleQueue()
    for reader in readers:
        free.put(reader)

    def read(parcel: Parcel) -> list[Row]:
        reader = free.get()
        try:
            return list(reader.read(parcel))
        finally:
            free.put(reader)

    running: set[Future[list[Row]]] = set()
    pool = ThreadPoolExecutor(n_workers)
    try:
        for parcel in parcels:
            if isinstance(parcel, dict):
                yield [parcel]
                continue
            if len(running) >= _PARCELS_PER_WORKER * n_workers:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
            running.add(pool.submit(read, parcel))
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        for reader in readers:
            reader.stop()
        pool.shutdown(cancel_futures=True)
        for reader in readers:
            reader.close()
