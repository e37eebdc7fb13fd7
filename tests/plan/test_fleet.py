"""A plan for many pages agrees with what simulated machines take."""

from __future__ import annotations

import heapq
import random

import pytest
from crispvl.errors import OutOfMemoryError
from crispvl.hub import bundled
from crispvl.plan import plan_model
from crispvl.plan.fleet import Machine, plan_fleet

GIB = 2**30


def memory() -> object:
    return plan_model(bundled.path())


def simulated_hours(n_pages: int, n_workers: int, pages_per_second: float) -> float:
    """Workers that take the next page whenever they are free; pages differ in length."""
    rng = random.Random(1)
    free = [0.0] * n_workers
    for _ in range(n_pages):
        start = heapq.heappop(free)
        heapq.heappush(free, start + rng.expovariate(pages_per_second))
    return max(free) / 3600


def test_hours_are_those_of_a_simulated_cluster() -> None:
    machine = Machine(n_cores=16, n_bytes=64 * GIB, price_per_hour=0.8)
    plan = plan_fleet(memory(), machine, n_pages=200_000, pages_per_second=0.5, hours=2.0)
    n_workers = plan.n_machines * plan.workers_per_machine
    assert plan.hours <= 2.0
    assert plan.hours == pytest.approx(simulated_hours(200_000, n_workers, 0.5), rel=0.02)
    assert plan.cost == pytest.approx(0.8 * plan.hours * plan.n_machines)


def test_memory_limits_the_workers_of_a_machine() -> None:
    one = memory()
    peak = one.devices[-1].peak
    small = plan_fleet(one, Machine(n_cores=64, n_bytes=3 * peak), n_pages=10, pages_per_second=1.0)
    assert 2 <= small.workers_per_machine < 64
    with pytest.raises(OutOfMemoryError, match="one worker"):
        plan_fleet(one, Machine(n_cores=64, n_bytes=peak // 2), n_pages=10, pages_per_second=1.0)


def test_threads_of_a_worker_take_cores() -> None:
    machine = Machine(n_cores=16, n_bytes=256 * GIB)
    plan = plan_fleet(memory(), machine, n_pages=10, pages_per_second=1.0, cores_per_worker=4)
    assert plan.workers_per_machine == 4
    assert plan.n_machines == 1


@pytest.mark.parametrize("wrong", [{"n_pages": 0}, {"pages_per_second": 0.0}, {"hours": -1.0}])
def test_numbers_that_make_no_job_are_refused(wrong: dict[str, float]) -> None:
    job: dict[str, object] = {"n_pages": 10, "pages_per_second": 1.0, **wrong}
    with pytest.raises(ValueError, match="over 0 expected"):
        plan_fleet(memory(), Machine(n_cores=1, n_bytes=GIB), **job)
