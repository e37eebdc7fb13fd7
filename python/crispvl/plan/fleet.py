"""How many machines read many pages, how long they take and what that costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from crispvl.errors import OutOfMemoryError
from crispvl.plan.memory_plan import MemoryPlan

_MEMORY_SHARE = 0.9
"""Of a machine's memory that workers may fill; the rest is for documents and the system."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One machine of a cluster."""

    n_cores: int
    n_bytes: int
    """Memory."""
    price_per_hour: float | None = None

    def __post_init__(self) -> None:
        if self.n_cores < 1 or self.n_bytes < 1:
            raise ValueError(
                f"[plan] a machine with cores and memory expected; found {self.n_cores} cores and "
                f"{self.n_bytes} bytes; correct it"
            )


@dataclass(frozen=True, kw_only=True)
class FleetPlan:
    """A job on like machines."""

    n_pages: int
    worker_bytes: int
    """Peak memory of one worker; the model's file, mapped by all, counts once in it."""
    workers_per_machine: int
    n_machines: int
    hours: float
    cost: float | None
    """Of all machines for that time; None without a price."""

    @property
    def cost_per_1000_pages(self) -> float | None:
        return None if self.cost is None else 1000 * self.cost / self.n_pages


def plan_fleet(
    memory: MemoryPlan,
    machine: Machine,
    *,
    n_pages: int,
    pages_per_second: float,
    cores_per_worker: int = 1,
    hours: float | None = None,
) -> FleetPlan:
    """Plans a job from the rate of one worker, which is measured, not guessed.

    Every worker is taken to keep its rate beside the others, which memory bandwidth can prevent:
    measure it with all workers of one machine running, and divide.

    Args:
        memory: Of one worker; its host's peak counts.
        machine: What one machine has.
        n_pages: To read.
        pages_per_second: Of one worker.
        cores_per_worker: Its threads.
        hours: By when it is to be done; None means on one machine.

    Raises:
        OutOfMemoryError: A machine has no room for one worker.
        ValueError: A number that is not over 0.
    """
    if n_pages < 1 or not pages_per_second > 0 or cores_per_worker < 1:
        raise ValueError(
            f"[plan] pages, a rate and cores over 0 expected; found {n_pages}, {pages_per_second} "
            f"and {cores_per_worker}; correct them"
        )
    if hours is not None and not hours > 0:
        raise ValueError(f"[plan] hours over 0 expected; found {hours}; correct it")
    host = memory.devices[-1]
    shared = host.weights - host.table  # one memory map for all workers
    room = int(machine.n_bytes * _MEMORY_SHARE) - shared
    own = max(1, host.peak - shared)
    by_memory, by_cores = room // own, machine.n_cores // cores_per_worker
    if by_memory < 1:
        raise OutOfMemoryError(
            f"[plan] {host.peak / 2**30:.1f} GiB for one worker expected; found a machine with "
            f"{machine.n_bytes / 2**30:.1f} GiB; take a larger one, or a smaller file type"
        )
    n_workers = max(1, min(by_memory, by_cores))
    machine_hours = n_pages / (n_workers * pages_per_second) / 3600
    n_machines = 1 if hours is None else math.ceil(machine_hours / hours)
    price = machine.price_per_hour
    return FleetPlan(
        n_pages=n_pages,
        worker_bytes=host.peak,
        workers_per_machine=n_workers,
        n_machines=n_machines,
        hours=machine_hours / n_machines,
        cost=None if price is None else price * machine_hours,
    )
