"""How many machines read many pages, how long they take and what that costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crispvl.errors import OutOfMemoryError
from crispvl.plan.memory_plan import MemoryPlan
from crispvl.plan.split import split_layers

_MEMORY_SHARE = 0.9
"""Of a memory that workers may fill; the rest is for drivers and the system."""
_DOCUMENT_BYTES = 64 << 20
"""Of a worker: its page in pixels, its layout, and the libraries for documents and tables."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One machine of a cluster."""

    n_cores: int
    n_bytes: int
    """Memory."""
    n_gpus: int = 0
    """Each worker takes at least one; without any, workers read on cores."""
    gpu_bytes: int = 0
    """Memory of each."""
    price_per_hour: float | None = None

    def __post_init__(self) -> None:
        if self.n_cores < 1 or self.n_bytes < 1 or self.n_gpus < 0:
            raise ValueError(
                f"[plan] expected a machine with cores and memory; found {self.n_cores} cores and "
                f"{self.n_bytes} bytes; correct them"
            )
        if (self.n_gpus > 0) != (self.gpu_bytes > 0):
            raise ValueError(
                f"[plan] expected GPUs together with the memory of each; found {self.n_gpus} GPUs "
                f"of {self.gpu_bytes} bytes; give both"
            )


@dataclass(frozen=True, kw_only=True)
class FleetPlan:
    """A job on like machines."""

    n_pages: int
    worker_bytes: int
    """Peak memory of one worker; the model's file, mapped by all, counts once in it."""
    gpu_layers: tuple[int, ...]
    """Decoder layers on each GPU of one worker; empty where workers read on cores."""
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
        memory: Of one worker, planned on the host, whose sizes stand for those on GPUs, too.
        machine: What one machine has.
        n_pages: To read.
        pages_per_second: Of one worker.
        cores_per_worker: Its threads.
        hours: By when it is to be done; None means on one machine.

    Raises:
        OutOfMemoryError: A machine has no room for one worker.
        ValueError: A number that is not over 0, or a price below it.
    """
    if n_pages < 1 or not pages_per_second > 0 or cores_per_worker < 1:
        raise ValueError(
            f"[plan] expected pages, a rate and cores over 0; found {n_pages}, {pages_per_second} "
            f"and {cores_per_worker}; correct them"
        )
    if hours is not None and not hours > 0:
        raise ValueError(f"[plan] expected hours over 0; found {hours}; correct it")
    price = machine.price_per_hour
    if price is not None and not 0 <= price < math.inf:
        raise ValueError(f"[plan] expected a price of 0 or more; found {price}; correct it")
    gpu_layers = split_over_gpus(memory, machine) if machine.n_gpus else ()
    by_memory = (
        machine.n_gpus // len(gpu_layers) if gpu_layers else _workers_in_memory(memory, machine)
    )
    n_workers = max(1, min(by_memory, machine.n_cores // cores_per_worker))
    machine_hours = n_pages / (n_workers * pages_per_second) / 3600
    n_machines = 1 if hours is None else math.ceil(machine_hours / hours)
    return FleetPlan(
        n_pages=n_pages,
        worker_bytes=memory.devices[-1].peak + _DOCUMENT_BYTES,
        gpu_layers=gpu_layers,
        workers_per_machine=n_workers,
        n_machines=n_machines,
        hours=machine_hours / n_machines,
        cost=None if price is None else price * machine_hours,
    )


def _workers_in_memory(memory: MemoryPlan, machine: Machine) -> int:
    host = memory.devices[-1]
    shared = host.weights - host.table  # one memory map for all workers
    room = int(machine.n_bytes * _MEMORY_SHARE) - shared
    needed = host.peak + _DOCUMENT_BYTES
    n_workers = room // max(1, needed - shared)
    if n_workers < 1:
        raise OutOfMemoryError(
            f"[plan] expected a machine with {needed / 2**30:.1f} GiB, which one worker "
            f"needs; found {machine.n_bytes / 2**30:.1f} GiB; take a larger one, or a smaller "
            "file type"
        )
    return n_workers


def split_over_gpus(memory: MemoryPlan, machine: Machine) -> tuple[int, ...]:
    """Puts a worker's decoder layers on as few GPUs of one machine as hold them.

    The encoder goes to the first GPU, the output head to the last one with layers, and each has
    scratch for the largest graph. The token table stays on the host.

    Returns:
        Decoder layers of each GPU that is used.

    Raises:
        OutOfMemoryError: All GPUs of a machine together do not hold the model.
    """
    host, n_layers = memory.devices[-1], len(memory.layer_weights)
    layers = [n_bytes + host.kv_cache // n_layers for n_bytes in memory.layer_weights]
    encoder = host.weights - host.table - sum(memory.layer_weights) - memory.head_weights
    room = int(machine.gpu_bytes * _MEMORY_SHARE) - host.compute
    for n_gpus in range(1, machine.n_gpus + 1):
        rooms = [room - max(0, encoder), *[room] * (n_gpus - 1)]
        counts = split_layers(layers, memory.head_weights, rooms)
        if _held(layers, counts) + memory.head_weights <= rooms[-1]:
            return tuple(counts)
    raise OutOfMemoryError(
        f"[plan] expected GPUs that hold {(host.weights + host.kv_cache) / 2**30:.1f} GiB and "
        f"scratch of {host.compute / 2**30:.1f} GiB each; found {machine.n_gpus} of "
        f"{machine.gpu_bytes / 2**30:.1f} GiB; take larger ones, or a smaller file type"
    )


def _held(layers: Sequence[int], counts: Sequence[int]) -> int:
    """Bytes of the layers on the last GPU."""
    return sum(layers[len(layers) - counts[-1] :])
