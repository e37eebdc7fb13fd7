"""What a run did, and how far it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from crispvl.batch.rows import NO_PAGE, Row

_MOST_TOLD = 5
"""Failures that are told in full."""


@dataclass
class Failures:
    """Pages with an error.

    Attributes:
        kinds: How many there are of each type.
        first: What some of them say.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Failures:
        """Those among rows."""
        failed = [row for row in rows if row["error_type"] is not None]
        told = [
            row["error"] if row["page"] == NO_PAGE else f"page {row['page']}: {row['error']}"
            for row in failed[:_MOST_TOLD]
        ]
        return cls(Counter(row["error_type"] for row in failed), told)

    @property
    def n(self) -> int:
        """How many there are."""
        return self.kinds.total()

    def add(self, other: Failures) -> None:
        """Counts those of other rows."""
        self.kinds += other.kinds
        self.first = [*self.first, *other.first][:_MOST_TOLD]

    def lines(self) -> Iterator[str]:
        """Sentences for people."""
        for kind, n in self.kinds.most_common():
            yield f"{n} failed: {kind}"
        yield from self.first
        if self.n > len(self.first):
            yield "the others are in the table, in its column error"


@dataclass
class Summary:
    """What a run did."""

    n_read: int = 0
    n_kept: int = 0
    """Pages that the table had before."""
    n_kept_failed: int = 0
    """Of these, the ones of this run's documents that are recorded with an error."""
    n_documents: int = 0
    """That may have pages to read."""
    n_opened: int = 0
    """Of these, so far."""
    n_to_read: int = 0
    """Pages of those that were opened."""
    n_done: int = 0
    """Of these, the ones that workers are done with; `n_read` were written."""
    failures: Failures = field(default_factory=Failures)
    seconds: float = 0.0
    n_workers: int = 1

    def add(self, rows: list[Row]) -> None:
        """Counts rows that were written."""
        self.n_read += len(rows)
        self.failures.add(Failures.of(rows))

    @property
    def pages_per_second(self) -> float:
        """Of this run."""
        return self.n_read / self.seconds if self.seconds else 0.0

    def progress(self) -> str:
        """How far the run is, in a line; the time left follows from documents opened so far."""
        text = f"{self.n_done} of {self.n_to_read} pages"
        text += f" of {self.n_opened} of {self.n_documents} documents"
        if not (self.n_done and self.n_opened and self.seconds):
            return text
        rate = self.n_done / self.seconds
        n_left = self.n_to_read * self.n_documents / self.n_opened - self.n_done
        return f"{text}, {rate:.1f} pages/s, {n_left / rate / 60:.0f} min left"

    def to_dict(self, price_per_hour: float | None = None) -> dict[str, Any]:
        """The same as `lines`, as JSON's types."""
        return {
            "n_read": self.n_read,
            "n_kept": self.n_kept,
            "n_kept_failed": self.n_kept_failed,
            "failures": dict(self.failures.kinds),
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
        done = f"{self.n_read} pages read in {self.seconds:.1f} s"
        yield f"{done}; the table had {self.n_kept} before"
        if self.n_read:
            each = self.pages_per_second / self.n_workers
            yield f"{self.pages_per_second:.2f} pages/s, {each:.2f} per worker"
            cost = self._cost(price_per_hour)
            if cost is not None:
                yield f"{cost:.4f} per 1000 pages"
        if self.n_kept_failed:
            yield f"{self.n_kept_failed} failed before; --retry-failed reads them again"
        yield from self.failures.lines()
