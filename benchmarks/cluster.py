"""Reads many pages by one process, by two, and on a Ray cluster where workers and driver die.

    python benchmarks/cluster.py --folder /tmp/pages                        # 500 pages
    python benchmarks/cluster.py --folder /tmp/pages --turns --log benchmarks/results/cluster.json
    python benchmarks/cluster.py --report benchmarks/results/cluster.json   # into docs/cluster.md

Checks that every way of reading gives the same table, page for page, and that a second run reads
nothing; measures rates with one and two workers of one thread each. What fails ends the script.
With ``--turns`` it measures instead what two workers of a cluster gain where Ray's own processes
have a core of their own: the workers take turns on the other one, at half speed.

Needs ``crispvl[ray]``, psutil and an idle machine; Linux or macOS. Takes about as long as one
thread needs for four times the pages.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import pyarrow.dataset as dataset
from cluster_pages import make_documents
from cluster_report import write_report

ROOT = Path(__file__).resolve().parents[1]
BATCH = [sys.executable, "-m", "crispvl", "batch"]
COMPARED = ["source", "page", "text", "lines", "flags", "error_type", "finish_reason", "key"]
N_WORKERS_KILLED = 3
TURN_S = 0.02  # for which a worker runs, and then rests
LOOK_S = 2.0  # after which new workers are looked for


def run(folder: Path, out: str, workers: int, *more: str) -> dict[str, Any]:
    """Runs a batch and returns its summary with the time that the command took."""
    command = [*BATCH, str(folder / "pages"), "--out", str(folder / out), "--json"]
    command += ["--workers", str(workers), "--threads", "1", *more]
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    command_s = time.monotonic() - begun
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{out}: {summary['n_read']} pages, command {command_s:.1f} s", flush=True)
    return summary | {"command_s": command_s}


def table(folder: Path, out: str) -> list[dict[str, Any]]:
    """The rows of a table in order of documents and pages."""
    parts = sorted((folder / out).glob("*.parquet"))
    if not parts:
        return []
    rows = dataset.dataset(parts, format="parquet").to_table(columns=COMPARED).to_pylist()
    return sorted(rows, key=lambda row: (row["source"], row["page"]))


def expect(holds: bool, what: str) -> None:
    """Ends the script where a claim does not hold."""
    if not holds:
        raise SystemExit(f"expected: {what}; it is not so")
    print(f"holds: {what}", flush=True)


@contextmanager
def cluster(n_cpus: int) -> Iterator[None]:
    """A Ray cluster of this machine that outlives its drivers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += [f"--num-cpus={n_cpus}", f"--port={port}", "--include-dashboard=false"]
    # Elsewhere than usual, so that no later program takes this cluster for one that still runs.
    command += [f"--temp-dir={tempfile.mkdtemp(prefix='ray-')}"]
    # A token that an earlier cluster left behind would shut its drivers out.
    settings = {"RAY_ADDRESS": f"127.0.0.1:{port}", "RAY_AUTH_MODE": "disabled"}
    os.environ.update(settings)
    head = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while head.poll() is None and not answers(port):
            time.sleep(0.2)
        yield
    finally:
        for name in settings:
            del os.environ[name]
        head.terminate()
        head.wait()


def answers(port: int) -> bool:
    """Whether something listens at a port of this machine."""
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


def run_with_kills(folder: Path, seconds: float) -> dict[str, Any]:
    """Kills workers at random moments and the driver once, then lets a second driver finish.

    Args:
        folder: Of pages and tables.
        seconds: About how long an undisturbed run takes; the driver dies after half of it.
    """
    moments = sorted(random.uniform(0.1, 0.9) * seconds / 2 for _ in range(N_WORKERS_KILLED))
    command = [*BATCH, str(folder / "pages"), "--out", str(folder / "killed"), "--engine", "ray"]
    driver = subprocess.Popen([*command, "--workers", "2", "--threads", "1"], stderr=-3)
    while driver.poll() is None and not worker_processes():
        time.sleep(0.2)
    begun, n_killed = time.monotonic(), 0
    for moment in moments:
        time.sleep(max(0.0, begun + moment - time.monotonic()))
        while not (workers := worker_processes()):
            time.sleep(0.2)
        os.kill(random.choice(workers), signal.SIGKILL)
        n_killed += 1
    time.sleep(max(0.0, begun + seconds / 2 - time.monotonic()))
    expect(driver.poll() is None, "the driver runs until it is killed")
    driver.kill()
    driver.wait()
    n_before = len(table(folder, "killed"))
    rest = run(folder, "killed", 2, "--engine", "ray")
    return {"n_workers_killed": n_killed, "n_before_the_drivers_death": n_before, "rest": rest}


def worker_processes() -> list[int]:
    """The actors that read, and the processes with a model that belong to them."""
    return [p.pid for actor in reading_actors() for p in (actor, *actor.children())]


def reading_actors() -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if is_reader(p)]


def is_reader(process: psutil.Process) -> bool:
    """Whether it is an actor of the stage that reads."""
    return "ray::MapWorker(MapBatches(ParcelReader))" in " ".join(process.info["cmdline"] or [])


@contextmanager
def turns() -> Iterator[None]:
    """Lets the processes with a model run in turns, each for half of the time."""
    ended = threading.Event()
    thread = threading.Thread(target=_take_turns, args=[ended])
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _take_turns(ended: threading.Event) -> None:
    models: list[psutil.Process] = []
    looked = -math.inf
    for n_turns in itertools.count():
        if time.monotonic() - looked > LOOK_S:
            models = [model for actor in reading_actors() for model in actor.children()]
            looked = time.monotonic()
        is_over = ended.wait(TURN_S)
        for i, model in enumerate(models):
            with suppress(psutil.NoSuchProcess):
                model.resume() if is_over or i % 2 == n_turns % 2 else model.suspend()
        if is_over:
            return


def measure_turns(folder: Path, n_pages: int) -> dict[str, Any]:
    """Reads with one and with two workers of a cluster, each at half speed."""
    make_documents(folder / "pages", n_pages)
    with cluster(n_cpus=2), turns():
        one = run(folder, "turns_one", 1, "--engine", "ray")
        two = run(folder, "turns_two", 2, "--engine", "ray")
    expect(table(folder, "turns_two") == table(folder, "turns_one"), "both give the same table")
    return {"turns_one": one, "turns_two": two}


def measure(folder: Path, n_pages: int) -> dict[str, Any]:
    """Reads in every way and returns what was measured."""
    make_documents(folder / "pages", n_pages)
    one = run(folder, "one", 1)
    reference = table(folder, "one")
    expect(len(reference) == n_pages, f"one process reads {n_pages} pages")
    two = run(folder, "two", 2)
    expect(table(folder, "two") == reference, "two processes give the same table")
    with cluster(n_cpus=2):
        ray_one = run(folder, "ray_one", 1, "--engine", "ray")
        expect(table(folder, "ray_one") == reference, "one worker of Ray's gives the same table")
        ray_two = run(folder, "ray_two", 2, "--engine", "ray")
        expect(table(folder, "ray_two") == reference, "two workers of Ray's give the same table")
        killed = run_with_kills(folder, ray_two["seconds"])
        rows = table(folder, "killed")
        expect(len({row["key"] for row in rows}) == len(rows) == n_pages, "each page is once there")
        expect(rows == reference, "killed workers and a killed driver change nothing in the table")
        ray_again = run(folder, "killed", 2, "--engine", "ray")
    again = run(folder, "one", 2)
    runs = {"one": one, "two": two, "ray_one": ray_one, "ray_two": ray_two}
    runs |= {"again": again, "ray_again": ray_again}
    expect(again["n_read"] == ray_again["n_read"] == 0, "a second run reads nothing")
    changed = change_one(folder)
    once_more = run(folder, "one", 1)
    expect(once_more["n_read"] == changed, "a changed document is read again, alone")
    return {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}",
        "n_pages": n_pages,
        "runs": runs,
        "killed": killed,
        "speedup": one["seconds"] / two["seconds"],
        "speedup_on_ray": ray_one["seconds"] / ray_two["seconds"],
    }


def change_one(folder: Path) -> int:
    """Gives the document of a single page another content and returns how many pages it has."""
    shutil.copy(folder / "pages" / "0001.pdf", folder / "pages" / "single.pdf")
    return len([row for row in table(folder, "one") if row["source"].endswith("0001.pdf")])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where pages and tables go; made anew")
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    parser.add_argument("--turns", action="store_true", help="workers at half speed, into the log")
    parser.add_argument("--log", type=Path, help="where the figures go, as JSON")
    parser.add_argument("--report", type=Path, help="figures to write into docs/cluster.md")
    options = parser.parse_args()
    if options.report is not None:
        write_report(json.loads(options.report.read_text()), ROOT / "docs" / "cluster.md")
    if options.folder is not None:
        random.seed(options.seed)
        shutil.rmtree(options.folder, ignore_errors=True)
        if options.turns:
            figures = json.loads(options.log.read_text()) if options.log else {"runs": {}}
            figures["runs"] |= measure_turns(options.folder, options.pages)
        else:
            figures = measure(options.folder, options.pages)
        text = json.dumps(figures, indent=1) + "\n"
        print(text)
        if options.log is not None:
            options.log.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
