"""The work that every side of compare.py does, and how one is asked for it.

A side is a script of its own, so that each can have its own Python. It needs numpy only from here.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

TILE_PX = 448
PAGE_PX = (1754, 1240)
"""Height and width of an A4 page at 150 dpi; six tiles and the thumbnail by InternVL's rule."""
PAGE_TILES = 7
PAGE_PROMPT = "OCR"
ANSWER_TOKENS = 300
DECODE_TOKENS = 32
"""Tokens each stream decodes, after `START_TOKENS`."""
START_TOKENS = 64

ENCODE, PREFILL, DECODE, PAGE, PAGES = "encode", "prefill", "decode", "page", "pages"
LOAD, PEAK = "load", "peak"
ALL_WORK = f"{ENCODE},{PREFILL}-512,{PREFILL}-2048,{DECODE}-1,{DECODE}-8,{PAGE}"


class Side(Protocol):
    """A loaded model. Every method does its work once and returns the seconds it took."""

    def encode(self) -> float:
        """One tile through the encoder and the projector."""

    def prefill(self, n_tokens: int) -> float:
        """A prompt of text."""

    def decode(self, n_streams: int) -> float:
        """`DECODE_TOKENS` more tokens of each of so many sequences."""

    def page(self) -> float:
        """A page, from its pixels to its last of `ANSWER_TOKENS` tokens."""

    def pages(self, n_pages: int) -> float:
        """So many pages, several at a time."""


def ids(n: int) -> list[int]:
    """Tokens at random; every tokenizer here has bytes in its first 200."""
    return [int(i) for i in np.random.default_rng(0).integers(0, 200, n)]


def pixels(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """An image at random."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""Seconds on the wall, and of all threads on the CPUs: the second is what a machine that others
use as well tells best."""

_clock = CLOCKS["wall"]


def use_clock(name: str) -> None:
    """Chooses how `timed` measures, by the names of `CLOCKS`."""
    global _clock
    _clock = CLOCKS[name]


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    start = _clock()
    work()
    return _clock() - start


def read_work(text: str) -> dict[str, tuple[str, int]]:
    """Reads ``encode,prefill-512,decode-8,page,pages-16``.

    Returns:
        Name to the kind of work and its number, 1 where it has none.

    Raises:
        ValueError: An unknown kind, or what is not a positive number.
    """
    found = {}
    for name in text.split(","):
        kind, _, number = name.partition("-")
        counted = kind in (PREFILL, DECODE, PAGES)
        if counted != bool(number) or not (counted or kind in (ENCODE, PAGE)):
            raise ValueError(
                f"[work] encode, prefill-N, decode-N, page or pages-N is expected; "
                f"found '{name}'; change it"
            )
        if number and not (number.isascii() and number.isdigit() and int(number) > 0):
            raise ValueError(f"[work] {kind}-N with N over 0 is expected; found '{name}'")
        found[name] = kind, int(number or 1)
    return found


def measure(side: Side, work: dict[str, tuple[str, int]]) -> dict[str, float]:
    """Does the work, each once after the least that warms it up, and returns it in its unit.

    Seconds for ``encode`` and ``page``, tokens/s for ``prefill`` and ``decode``, pages a minute for
    ``pages``. What a side cannot do is left out.
    """
    kinds = {kind for kind, _ in work.values()}
    if kinds & {ENCODE, PAGE, PAGES}:
        side.encode()
    if kinds & {PREFILL, DECODE, PAGE, PAGES}:
        side.prefill(START_TOKENS)
    found: dict[str, float] = {}
    for name, (kind, n) in work.items():
        try:
            if kind == ENCODE:
                found[name] = side.encode()
            elif kind == PREFILL:
                found[name] = n / side.prefill(n)
            elif kind == DECODE:
                found[name] = n * DECODE_TOKENS / side.decode(n)
            elif kind == PAGE:
                found[name] = side.page()
            else:
                found[name] = 60 * n / side.pages(n)
        except NotImplementedError:
            print(f"… no {name} on this side", file=sys.stderr)
    return found


def run(
    load: Callable[[argparse.Namespace], Side],
    add_arguments: Callable[[argparse.ArgumentParser], object] | None = None,
) -> None:
    """The main program of a side: measures once and prints one JSON object."""
    parser = argparse.ArgumentParser(description="One side of compare.py, which starts it.")
    parser.add_argument("model", help="text model, GGUF; the checkpoint's folder for transformers")
    parser.add_argument("--mmproj", help="projector, GGUF")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--work", type=read_work, required=True)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    if add_arguments is not None:
        add_arguments(parser)
    args = parser.parse_args()
    use_clock(args.clock)
    start = time.perf_counter()
    side = load(args)
    found: dict[str, Any] = {LOAD: time.perf_counter() - start}
    found |= measure(side, args.work)
    found[PEAK] = peak_mib()
    print(json.dumps(found))


def peak_mib() -> float:
    """Largest resident memory of this process so far in MiB; Linux only."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
