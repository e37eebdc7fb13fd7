"""One engine, many callers: pages per second of threads at once against one after another.

    python benchmarks/many_callers.py --callers 16 --threads 1 examples/*.png

Each thread calls `CrispOCR.recognize` for pages of its own, as the requests of a server do. Both
ways read the same pages; texts and token ids must be the same. Besides the time by the clock it
prints the processor time, which a busy machine does not change, and the engine's own share of a
step: all but the model's graphs.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

from crispvl import CrispOCR
from crispvl.engine.loop import EngineCounts

Read: TypeAlias = tuple[str, list[int]]
"""Text and token ids of a page."""


@dataclass
class Measured:
    wall_s: float
    cpu_s: float
    passes: int
    rows: int
    graph_ms: float
    own_ms: float
    pages: list[Read]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", nargs="+", help="read in turn")
    parser.add_argument("-m", "--model", help="GGUF file; else the bundled model")
    parser.add_argument("--mmproj")
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--pages", type=int, default=32, help="in all")
    parser.add_argument("--threads", type=int, help="of the model")
    parser.add_argument("--max-tokens", type=int, default=2048)
    parser.add_argument("--max-tiles", type=int)
    parser.add_argument("--together-only", action="store_true", help="for the engine's own share")
    args = parser.parse_args()
    settings = {"max_tokens": args.max_tokens, "max_tiles": args.max_tiles}
    pages = list(itertools.islice(itertools.cycle(args.images), args.pages))
    # Nothing is kept, so that a page that comes again costs what it cost before.
    with CrispOCR(args.model, args.mmproj, threads=args.threads, image_cache_bytes=0) as ocr:

        def read(page: str) -> Read:
            generation = ocr.recognize(page, **settings).pages[0].generation
            return ("", []) if generation is None else (generation.text, generation.ids)

        read(pages[0])
        alone = None if args.together_only else measure(ocr, 1, read, pages)
        together = measure(ocr, args.callers, read, pages)
    if alone is not None:
        report("one after another", alone)
    report(f"{args.callers} at once", together)
    if alone is not None:
        print(
            f"pages per second: {alone.wall_s / together.wall_s:.2f} times; per second of "
            f"processor time: {alone.cpu_s / together.cpu_s:.2f} times"
        )
        n_different = sum(a != b for a, b in zip(alone.pages, together.pages, strict=True))
        print(f"pages whose text or tokens differ: {n_different} of {len(pages)}")


def measure(
    ocr: CrispOCR, n_callers: int, read: Callable[[str], Read], pages: Sequence[str]
) -> Measured:
    before = ocr.engine.counts
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(n_callers) as callers:
        found = list(callers.map(read, pages))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    after = ocr.engine.counts

    def during(name: str) -> float:
        return float(getattr(after, name) - getattr(before, name))

    assert isinstance(after, EngineCounts)
    return Measured(
        wall_s=wall,
        cpu_s=cpu,
        passes=int(during("n_passes")),
        rows=int(during("n_rows")),
        graph_ms=during("graph_ms"),
        own_ms=during("own_ms"),
        pages=found,
    )


def report(name: str, found: Measured) -> None:
    n_pages = len(found.pages)
    own = found.own_ms / (found.own_ms + found.graph_ms)
    print(
        f"{name}: {n_pages / found.wall_s:.2f} pages/s, {found.cpu_s / n_pages:.3f} s of processor "
        f"time a page, {found.rows / found.passes:.1f} tokens a pass, the engine's own share "
        f"{100 * own:.1f}%"
    )


if __name__ == "__main__":
    main()
