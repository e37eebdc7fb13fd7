"""What busy neighbours cost: pages read while other processes keep every core busy.

    python benchmarks/neighbours.py                      # the bundled model, 16 crops together
    python benchmarks/neighbours.py --page scan.png      # one page instead
    python benchmarks/neighbours.py -m TEXT --mmproj F

Starts its own neighbours, one per core, that compute without a pause: first none, then at our
priority, then at the lowest. Prints the median of each and its ratio to the idle machine's, and the
texts must be the same. With as many neighbours as cores, a fair share is half of the machine: a
ratio of 2 is what the system takes, the rest is what waiting costs.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from crispvl import CrispOCR
from PIL import Image

SAMPLE = Path(__file__).resolve().parents[1] / "examples" / "receipt.png"
N_CROPS = 16
LOWEST = 19  # nice value


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
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def crops() -> list[Image.Image]:
    """The sample receipt, shifted by a row at a time so that no two are the same picture."""
    pixels = np.asarray(Image.open(SAMPLE).convert("RGB"))
    return [Image.fromarray(np.roll(pixels, i, axis=0)) for i in range(N_CROPS)]


def median_seconds(work: Callable[[], str], n_runs: int) -> tuple[float, str]:
    """Median of the runs, and what they all gave."""
    seconds, texts = [], set()
    for _ in range(n_runs):
        before = time.perf_counter()
        texts.add(work())
        seconds.append(time.perf_counter() - before)
    if len(texts) != 1:
        raise SystemExit("[neighbours] expected the same text in each run; found several")
    return statistics.median(seconds), texts.pop()


def main() -> None:
    """Measures idle and beside neighbours."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-m", "--model")
    parser.add_argument("--mmproj")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--runs", type=int, default=7)
    args = parser.parse_args()
    ocr = CrispOCR(args.model, mmproj=args.mmproj, threads=args.threads, image_cache_bytes=0)
    pages = [Image.open(args.page).convert("RGB")] if args.page else crops()

    def work() -> str:
        return "\f".join(str(document) for document in ocr.recognize_many(pages))

    work()
    n_cores = len(os.sched_getaffinity(0))
    idle, expected = median_seconds(work, args.runs)
    print(f"idle                                {idle:7.3f} s")
    for name, priority in (("at our priority", 0), ("at the lowest", LOWEST)):
        with neighbours(n_cores, priority):
            time.sleep(1)
            loaded, text = median_seconds(work, args.runs)
        if text != expected:
            raise SystemExit("[neighbours] expected the idle machine's text; found another")
        print(f"{n_cores} neighbours {name:20} {loaded:7.3f} s  {loaded / idle:5.2f} times")


if __name__ == "__main__":
    main()
