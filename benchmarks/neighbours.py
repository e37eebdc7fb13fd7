"""What busy neighbours cost: pages read while other processes keep every core busy.

    python benchmarks/neighbours.py                      # the bundled model, 16 crops together
    python benchmarks/neighbours.py --page scan.png      # one page instead
    python benchmarks/neighbours.py --page scan.png --tesseract   # beside Tesseract, run by run
    python benchmarks/neighbours.py -m TEXT --mmproj F --log benchmarks/results/neighbours.json

Starts its own neighbours, one per core, that compute without a pause: first none, then at our
priority, then at the lowest. Prints the medians of each and their ratio to the idle machine's, and
the texts must be the same. With as many neighbours as cores, a fair share is half of the machine: a
ratio of 2 is what the system takes, the rest is what waiting costs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from crispvl import CrispOCR
from crispvl._core import usable_cores
from PIL import Image

SAMPLE = Path(__file__).resolve().parents[1] / "examples" / "receipt.png"
N_CROPS = 16
LOWEST = 19  # nice value
OURS, TESSERACT = "crispvl", "Tesseract"
IDLE = "idle"

Sides = Mapping[str, Callable[[], str]]
"""By name, what reads once and returns the text."""
Seconds = dict[str, dict[str, float]]
"""Load, then side, to the median of its runs."""


def compute_without_pause(priority: int) -> None:
    """Until killed."""
    os.nice(priority)
    value = 1
    while True:
        value = value * 3 % 1_000_003


@contextlib.contextmanager
def neighbours(n: int, priority: int) -> Iterator[None]:
    """Busy processes beside us."""
    processes = [
        multiprocessing.Process(target=compute_without_pause, args=(priority,), daemon=True)
        for _ in range(n)
    ]
    for process in processes:
        process.start()
    try:
        if processes:
            time.sleep(1)
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def crops() -> list[Image.Image]:
    """The sample receipt, shifted by a row at a time so that no two are the same picture."""
    pixels = np.asarray(Image.open(SAMPLE).convert("RGB"))
    return [Image.fromarray(np.roll(pixels, i, axis=0)) for i in range(N_CROPS)]


def sides(args: argparse.Namespace) -> Sides:
    """What is measured, each loaded and warm."""
    ocr = CrispOCR(args.model, mmproj=args.mmproj, threads=args.threads, image_cache_bytes=0)
    pages = [Image.open(args.page).convert("RGB")] if args.page else crops()

    def ours() -> str:
        return "\f".join(str(document) for document in ocr.recognize_many(pages))

    def tesseract() -> str:
        command = ["tesseract", str(args.page), "-"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    found = {OURS: ours, TESSERACT: tesseract} if args.tesseract else {OURS: ours}
    for read in found.values():
        read()
    return found


def medians(measured: Sides, n_runs: int, texts: dict[str, str]) -> dict[str, float]:
    """Median seconds of each side's runs, taken in turn; what they read is held to `texts`.

    Raises:
        SystemExit: A side read something else than before.
    """
    seconds: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(n_runs):
        for name, read in measured.items():
            before = time.perf_counter()
            text = read()
            seconds[name].append(time.perf_counter() - before)
            if texts.setdefault(name, text) != text:
                raise SystemExit(f"[neighbours] {name}: the same text in each run expected")
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure(measured: Sides, n_runs: int, n_neighbours: int) -> Seconds:
    """All loads, one after the other."""
    loads = {
        IDLE: (0, 0),
        f"{n_neighbours} neighbours at our priority": (n_neighbours, 0),
        f"{n_neighbours} neighbours at the lowest": (n_neighbours, LOWEST),
    }
    texts: dict[str, str] = {}
    found: Seconds = {}
    for load, (n, priority) in loads.items():
        with neighbours(n, priority):
            found[load] = medians(measured, n_runs, texts)
    return found


def ratios(seconds: Seconds) -> Seconds:
    """The same as multiples of the idle machine's."""
    return {
        load: {name: value / seconds[IDLE][name] for name, value in row.items()}
        for load, row in seconds.items()
    }


def table(seconds: Seconds) -> str:
    """Medians and ratios for people."""
    to_idle = ratios(seconds)
    lines = []
    for load, row in seconds.items():
        cells = [f"{n} {s:7.3f} s {to_idle[load][n]:5.2f} times idle" for n, s in row.items()]
        if TESSERACT in row:
            cells.append(f"{row[TESSERACT] / row[OURS]:.2f} times as fast as {TESSERACT}")
        lines.append(f"{load:32}" + ", ".join(cells))
    return "\n".join(lines)


def record(args: argparse.Namespace, seconds: Seconds) -> dict[str, Any]:
    """What is kept of a measurement."""
    return {
        "machine": f"{usable_cores()} cores, {platform.machine()}",
        "model": Path(args.model).name if args.model else "bundled",
        "work": args.page.name if args.page else f"{N_CROPS} crops of {SAMPLE.name}",
        "runs": args.runs,
        "median_s": seconds,
        "times_idle": ratios(seconds),
    }


def main() -> None:
    """Measures idle and beside neighbours."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-m", "--model")
    parser.add_argument("--mmproj")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--tesseract", action="store_true", help="measure it too; needs --page")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--log", type=Path, metavar="FILE", help="JSON")
    args = parser.parse_args()
    if args.tesseract and not args.page:
        parser.error("--tesseract reads files: a --page is expected")
    seconds = measure(sides(args), args.runs, usable_cores())
    print(table(seconds))
    if args.log:
        args.log.write_text(json.dumps(record(args, seconds), indent=1) + "\n")


if __name__ == "__main__":
    main()
