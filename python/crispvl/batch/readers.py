"""What reads a worker's parcels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

from crispvl.batch.documents import Parcel
from crispvl.batch.job import Job
from crispvl.batch.rows import Row


class PageReader(Protocol):
    """What a worker does with a parcel."""

    def read(self, parcel: Parcel) -> Iterator[Row]:
        """Yields a row for each page of the parcel, in any order."""
        ...


ReaderFactory: TypeAlias = Callable[[Job, int], PageReader]
"""Makes the reader of a worker with a number of CPU threads; picklable."""


def engine_reader(job: Job, n_threads: int) -> PageReader:
    """Makes a reader with an engine of its own."""
    # Only the process that reads needs to load the engine, not those that hand out the work.
    from crispvl.batch.page_reader import EnginePageReader

    return EnginePageReader(job, n_threads)
