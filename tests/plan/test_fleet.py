"""A plan for many pages agrees with what simulated machines take."""

from __future__ import annotations

import heapq
import random
from pathlib import Path

import pytest
from crispvl.cli import main
from crispvl.convert import convert_header
from crispvl.errors import OutOfMemoryError
from crispvl.hub import bundled
from crispvl.plan import plan_model
from crispvl.plan.fleet import FleetPlan, Machine, plan_fleet
from tiny.released import released

GIB = 2**30

SIZES = {"26b": (48, 6144, 48, 16384), "78b": (80, 8192, 64, 29568)}
"""Decoders of InternVL2.5 by layers, width, heads and MLP; the 26B one with Qwen2's names."""


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

    def plan(n_bytes: int) -> FleetPlan:
        machine = Machine(n_cores=64, n_bytes=n_bytes)
        return plan_fleet(one, machine, n_pages=10, pages_per_second=1.0)

    worker = plan(64 * GIB).worker_bytes  # as large as this process is
    assert 2 <= plan(3 * worker).workers_per_machine < 64
    with pytest.raises(OutOfMemoryError, match="one worker"):
        plan(worker // 2)


def test_threads_of_a_worker_take_cores() -> None:
    machine = Machine(n_cores=16, n_bytes=256 * GIB)
    plan = plan_fleet(memory(), machine, n_pages=10, pages_per_second=1.0, cores_per_worker=4)
    assert plan.workers_per_machine == 4
    assert plan.n_machines == 1


@pytest.mark.parametrize("wrong", [{"n_pages": 0}, {"pages_per_second": 0.0}, {"hours": -1.0}])
def test_numbers_that_make_no_job_are_refused(wrong: dict[str, float]) -> None:
    job: dict[str, object] = {"n_pages": 10, "pages_per_second": 1.0, **wrong}
    with pytest.raises(ValueError, match=r"expected .*over 0; found"):
        plan_fleet(memory(), Machine(n_cores=1, n_bytes=GIB), **job)


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused(price: float) -> None:
    machine = Machine(n_cores=1, n_bytes=GIB, price_per_hour=price)
    with pytest.raises(ValueError, match="expected a price of 0 or more"):
        plan_fleet(memory(), machine, n_pages=10, pages_per_second=1.0)


def header(tmp_path: Path, size: str) -> Path:
    path = tmp_path / f"{size}.gguf"
    convert_header(released(*SIZES[size]), path)
    return path


@pytest.mark.parametrize(("size", "n_gpus"), [("26b", 1), ("78b", 3)])
def test_a_large_model_is_split_over_as_few_gpus_as_hold_it(
    tmp_path: Path, size: str, n_gpus: int
) -> None:
    path = header(tmp_path, size)
    memory = plan_model(path, device="cpu")
    machine = Machine(n_cores=64, n_bytes=512 * GIB, n_gpus=8, gpu_bytes=80 * GIB)
    plan = plan_fleet(memory, machine, n_pages=1_000_000, pages_per_second=0.4, hours=24)
    assert len(plan.gpu_layers) == n_gpus
    assert sum(plan.gpu_layers) == SIZES[size][0]
    assert plan.workers_per_machine == 8 // n_gpus
    n_workers = plan.n_machines * plan.workers_per_machine
    assert plan.hours <= 24
    assert plan.hours == pytest.approx(simulated_hours(1_000_000, n_workers, 0.4), rel=0.02)


def test_gpus_that_do_not_hold_a_model_together_are_refused(tmp_path: Path) -> None:
    memory = plan_model(header(tmp_path, "78b"), device="cpu")
    machine = Machine(n_cores=64, n_bytes=512 * GIB, n_gpus=2, gpu_bytes=80 * GIB)
    with pytest.raises(OutOfMemoryError, match=r"found 2 of 80\.0 GiB"):
        plan_fleet(memory, machine, n_pages=10, pages_per_second=1.0)


def test_each_gpu_holds_its_layers_with_encoder_head_cache_and_scratch(tmp_path: Path) -> None:
    memory = plan_model(header(tmp_path, "78b"), device="cpu")
    host = memory.devices[-1]
    machine = Machine(n_cores=64, n_bytes=512 * GIB, n_gpus=8, gpu_bytes=48 * GIB)
    plan = plan_fleet(memory, machine, n_pages=10, pages_per_second=1.0)
    begin, held = 0, []
    for count in plan.gpu_layers:
        weights = sum(memory.layer_weights[begin : begin + count])
        held.append(weights + host.kv_cache * count // 80 + host.compute)
        begin += count
    held[0] += host.weights - host.table - sum(memory.layer_weights) - memory.head_weights
    held[-1] += memory.head_weights
    assert max(held) <= 48 * GIB
    assert sum(held) > host.weights - host.table


def test_the_command_tells_the_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = header(tmp_path, "78b")
    job = ["--pages", "1000000", "--rate", "0.4", "--hours", "24", "--cores", "64"]
    gpus = ["--memory", "512GiB", "--gpus", "8", "--gpu-memory", "80GiB", "--price", "20"]
    assert main(["plan", str(path), *job, *gpus]) == 0
    told = capsys.readouterr().out
    assert "GPUs per worker     3 (decoder layers on each: " in told
    assert "workers per machine 2" in told


@pytest.mark.parametrize("given", [[], ["--hours", "10"], ["--cores", "16"], ["--price", "1"]])
def test_a_job_without_a_rate_is_told_to_give_one(
    capsys: pytest.CaptureFixture[str], given: list[str]
) -> None:
    assert main(["plan", "--pages", "1000000", *given]) == 2
    assert "--rate" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"n_gpus": 2}, {"gpu_bytes": GIB}])
def test_gpus_are_planned_with_their_memory_only(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="GPUs together with the memory of each"):
        Machine(n_cores=1, n_bytes=GIB, **wrong)
