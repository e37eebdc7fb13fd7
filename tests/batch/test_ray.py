"""The same batch on a Ray cluster of this machine: the same table, whatever ends on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("workers are killed as POSIX has it", allow_module_level=True)
pytest.importorskip("ray", reason="needs crispvl[ray]")
pytest.importorskip("psutil")
import pdf_files
import psutil
import ray
from crispvl.batch.job import Job
from crispvl.batch.ray_engine import run_on_ray
from crispvl.batch.run import run_on_this_machine
from crispvl.errors import DocumentError, OutputError
from crispvl.options import LoadOptions
from test_batch import expected, job, rows, texts
from worker_readers import (
    DeviceReader,
    PoisonedReader,
    ProcessReader,
    SlowReader,
    dying_opener,
    refused,
)

MakePdf = Callable[..., Path]
HERE = str(Path(__file__).parent)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(
        address="local",  # whatever else runs on this machine
        num_cpus=3,
        num_gpus=1,  # Ray only counts them
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 << 20,
        runtime_env={"env_vars": {"PYTHONPATH": HERE}},
    )
    yield
    ray.shutdown()


def test_the_table_is_that_of_one_machine(tmp_path: Path, pdf: MakePdf, cluster: None) -> None:
    pdf("a.pdf", 11)
    pdf("b.pdf", 2, width=300).with_name("c.pdf").write_bytes(b"%PDF-1.4 nothing else")
    summary = run_on_ray(job(tmp_path, attempts=2), 2, PoisonedReader)
    assert summary.failures.kinds == {"WorkerDiedError": 1, "DocumentError": 1}
    clustered = rows(tmp_path)
    alone = Job(inputs=(str(tmp_path / "in"),), out=str(tmp_path / "alone"), attempts=2)
    run_on_this_machine(alone, 1, factory=PoisonedReader)
    (tmp_path / "out").rename(tmp_path / "clustered")
    (tmp_path / "alone").rename(tmp_path / "out")
    assert [row["key"] for row in rows(tmp_path)] == [row["key"] for row in clustered]
    assert texts(tmp_path) == [row["text"] for row in clustered]


def test_a_second_run_reads_nothing(tmp_path: Path, pdf: MakePdf, cluster: None) -> None:
    pdf("a.pdf", 3)
    assert run_on_ray(job(tmp_path), 2, SlowReader).n_read == 3
    assert run_on_ray(job(tmp_path), 2, refused).n_read == 0


def test_as_many_workers_read_side_by_side_as_have_room(
    tmp_path: Path, pdf: MakePdf, cluster: None
) -> None:
    for i in range(12):
        pdf(f"{i:02d}.pdf", 20, width=200 + i)
    summary = run_on_ray(job(tmp_path), 8, ProcessReader)
    assert summary.n_read == 240
    assert summary.n_workers == 3  # each takes one of the CPUs, and leaves none for others
    shares = Counter(texts(tmp_path))
    assert len(shares) == 3
    assert min(shares.values()) > 40


def test_readers_on_cpus_and_gpus_share_the_work(
    tmp_path: Path, pdf: MakePdf, cluster: None
) -> None:
    for i in range(12):
        pdf(f"{i:02d}.pdf", 20, width=200 + i).with_name(f"{i:02d}x.pdf").write_bytes(b"no PDF")
    summary = run_on_ray(job(tmp_path), 1, DeviceReader, n_gpu_workers=1)
    assert summary.n_read == 12 * 21
    found = rows(tmp_path)
    assert len({row["key"] for row in found}) == len(found) == 12 * 21
    assert {row["text"] for row in found} == {"cpu", "auto", ""}


def test_a_document_that_ends_its_opener_costs_no_other(
    tmp_path: Path, pdf: MakePdf, cluster: None
) -> None:
    pdf("a.pdf", 2)
    pdf("deadly.pdf", 2)
    pdf("c.pdf", 1).write_bytes(pdf_files.pdf([None], "secret"))
    summary = run_on_ray(job(tmp_path, attempts=2), 1, SlowReader, dying_opener)
    assert summary.failures.kinds == {"WorkerDiedError": 1, "PasswordError": 1}
    assert summary.n_read == 4
    again = run_on_ray(job(tmp_path), 1, refused, dying_opener)
    assert (again.n_read, again.n_kept_failed) == (0, 2)


def test_a_changed_document_is_read_again_alone(
    tmp_path: Path, pdf: MakePdf, cluster: None
) -> None:
    for name in ("a.pdf", "b.pdf", "c.pdf"):
        pdf(name, 2)
    run_on_ray(job(tmp_path), 2, SlowReader)
    (tmp_path / "read.log").unlink()
    pdf("b.pdf", 2, width=301)
    assert run_on_ray(job(tmp_path), 2, SlowReader).n_read == 2
    # two workers, in either order
    assert sorted((tmp_path / "read.log").read_text().splitlines()) == ["b.pdf 1", "b.pdf 2"]


def test_what_ends_the_job_is_raised_as_without_ray(
    tmp_path: Path, pdf: MakePdf, cluster: None
) -> None:
    pdf("a.pdf", 1)
    with pytest.raises(ValueError, match="expected no worker"):
        run_on_ray(job(tmp_path), 1, refused)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(OutputError, match=r"other\.parquet, which cannot be read"):
        run_on_ray(job(tmp_path), 1, SlowReader)
    (tmp_path / "x").mkdir()
    with pytest.raises(DocumentError, match="found none"):
        run_on_ray(Job(inputs=(str(tmp_path / "x"),), out=str(tmp_path / "y")), 1, SlowReader)


def test_workers_for_which_this_machine_alone_has_no_room_are_refused(
    tmp_path: Path, pdf: MakePdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(address: str) -> None:
        if address != "local":
            raise ConnectionError

    pdf("a.pdf", 1)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(ValueError, match="1 and 1; found 2 and 0"):
        run_on_ray(job(tmp_path), 1, refused, n_gpu_workers=1)
    threaded = job(tmp_path, load=LoadOptions(threads=3))
    with pytest.raises(ValueError, match="3 and 0; found 2 and 0"):
        run_on_ray(threaded, 1, refused)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ConnectionError):
        run_on_ray(job(tmp_path), 1, refused)


def test_killed_workers_cost_no_page_and_write_none_twice(
    tmp_path: Path, pdf: MakePdf, cluster: None
) -> None:
    for i in range(6):
        pdf(f"{i}.pdf", 20, width=200 + i)
    stop = threading.Event()

    def kill_some() -> None:
        for _ in range(3):
            if stop.wait(4):
                return
            for process in psutil.process_iter(["cmdline"]):
                if "ray::MapWorker(MapBatches" in " ".join(process.info["cmdline"] or []):
                    os.kill(process.pid, signal.SIGKILL)
                    break

    killer = threading.Thread(target=kill_some)
    killer.start()
    run_on_ray(job(tmp_path), 2, SlowReader)
    stop.set()
    killer.join()
    assert texts(tmp_path) == expected(*((f"{i}.pdf", 20) for i in range(6)))


DRIVER = """
import sys
sys.path.append(sys.argv[1])
import ray
from crispvl.batch.job import Job
from crispvl.batch.ray_engine import run_on_ray
from worker_readers import SlowReader
if __name__ == "__main__":
    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False,
             object_store_memory=100 << 20, runtime_env={"env_vars": {"PYTHONPATH": sys.argv[1]}})
    run_on_ray(Job(inputs=(sys.argv[2],), out=sys.argv[3]), 1, SlowReader)
"""


def test_a_killed_driver_costs_no_page(tmp_path: Path, pdf: MakePdf, cluster: None) -> None:
    for i in range(8):
        pdf(f"{i}.pdf", 20, width=200 + i)
    script, out = tmp_path / "driver.py", tmp_path / "out"
    script.write_text(DRIVER)
    command = [sys.executable, str(script), HERE, str(tmp_path / "in"), str(out)]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not list(out.glob("part-*")) and time.monotonic() < deadline and driver.poll() is None:
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    assert rows(tmp_path)
    run_on_ray(job(tmp_path), 2, SlowReader)
    assert texts(tmp_path) == expected(*((f"{i}.pdf", 20) for i in range(8)))
