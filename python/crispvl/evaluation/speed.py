"""Speed and memory of a model on this machine: medians over runs, on pixels and tokens at random.

What a model says to random input means nothing; how long it takes does.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crispvl._core import Profiler, Sampler, Session
from crispvl.engine.model import Model
from crispvl.options import MOST_TILES

Report = Callable[[str], None]
"""Called with what is being measured."""

PAGE_TOKENS = 300
"""Tokens of the answer to the page that `pages_per_minute` counts."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure.

    Args:
        tiles: Numbers of tiles that are encoded at once.
        lengths: Prompt lengths in tokens.
        streams: Numbers of sequences that decode together.
        tokens: Tokens that each stream decodes.
        runs: Times each is measured; the median counts.

    Raises:
        ValueError: A number is below one, or there are more tiles than any image has.
    """

    tiles: Sequence[int] = (1, 7, 13)
    lengths: Sequence[int] = (128, 512, 2048)
    streams: Sequence[int] = (1, 4, 8)
    tokens: int = 32
    runs: int = 3

    def __post_init__(self) -> None:
        for name, numbers in vars(self).items():
            if np.min(numbers, initial=1) < 1:
                raise ValueError(f"[bench] expected positive {name}; found {numbers}; raise them")
        if max(self.tiles, default=1) > MOST_TILES:
            raise ValueError(
                f"[bench] expected at most {MOST_TILES} tiles; found {max(self.tiles)}; lower it"
            )


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Medians; keys of the dictionaries are the plan's numbers as text."""

    encode_s_per_tile: dict[str, float]
    prefill_tokens_per_s: dict[str, float]
    decode_tokens_per_s: dict[str, float]
    first_token_s: float
    pages_per_minute: float
    load_s: float
    peak_mib: float | None
    kernels: list[str]
    threads: int
    device: str

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON can hold them."""
        return asdict(self)


def run(load: Callable[[], Model], plan: Plan, report: Report = lambda _: None) -> Measurements:
    """Loads a model and measures it.

    Args:
        load: Loads the model; timed too.
        plan: What to measure; lengths beyond the model's context are left out.
        report: Called with a line before each measurement.

    Raises:
        ValueError: The plan's tokens do not fit the model's context.
    """
    report("load")
    start = time.perf_counter()
    model = load()
    load_s = time.perf_counter() - start
    bench = _Bench(model, plan, report)
    encode = {str(n): bench.encode(n) for n in plan.tiles}
    prefill = {str(n): bench.prefill(n) for n in plan.lengths if n <= bench.context}
    decode = {str(n): bench.decode(n) for n in plan.streams}
    first_token_s, page_s = bench.page()
    return Measurements(
        encode_s_per_tile=encode,
        prefill_tokens_per_s=prefill,
        decode_tokens_per_s=decode,
        first_token_s=first_token_s,
        pages_per_minute=60 / page_s,
        load_s=load_s,
        peak_mib=peak_mib(),
        kernels=model.core.kernels,
        threads=model.core.threads,
        device=model.core.device,
    )


@dataclass(frozen=True, kw_only=True)
class OperationTime:
    """What one kind of operation took in a phase."""

    calls: int
    seconds: float


def profile(model: Model, report: Report = lambda _: None) -> dict[str, dict[str, OperationTime]]:
    """Where the time goes, by phase and kind of operation.

    Operations run one after the other meanwhile, so their sum is a little more than an ordinary
    run takes. Those of ours carry the names that `docs/architecture.md` uses, the others ggml's.

    Args:
        model: The model to run.
        report: Called with a line before each phase.

    Returns:
        Per phase (`encode`, `prefill`, `decode`, `decode, 8 streams`) the operations, the longest
        first.
    """
    bench = _Bench(model, Plan(tokens=16), report)
    phases: dict[str, Callable[[], object]] = {
        "encode": bench.encoding(1),
        "prefill": bench.prefilling(min(1024, bench.context)),
        "decode": bench.decoding(1),
        "decode, 8 streams": bench.decoding(8),
    }
    found = {}
    for name, phase in phases.items():
        report(f"profile {name}")
        found[name] = _profiled(model, phase)
    return found


def _profiled(model: Model, work: Callable[[], object]) -> dict[str, OperationTime]:
    work()  # warm
    profiler = Profiler(model.core)
    try:
        work()
    finally:
        found = profiler.stop()
    ordered = sorted(found.items(), key=lambda item: -item[1][1])
    return {name: OperationTime(calls=calls, seconds=s) for name, (calls, s) in ordered}


class _Bench:
    def __init__(self, model: Model, plan: Plan, report: Report) -> None:
        self._model, self._plan, self._report = model, plan, report
        self._random = np.random.default_rng(0)
        self.context: int = model.config.decoder.context_length
        if plan.tokens >= self.context:
            raise ValueError(
                f"[bench] expected fewer tokens than the model's context of {self.context}; found "
                f"{plan.tokens}; lower it"
            )

    def encode(self, n_tiles: int) -> float:
        """Seconds per tile when `n_tiles` are encoded at once."""
        return self._median(f"encode {n_tiles} tiles", self.encoding(n_tiles)) / n_tiles

    def encoding(self, n_tiles: int) -> Callable[[], object]:
        """What encodes this many tiles."""
        tiles = self._tiles(n_tiles)
        return lambda: self._model.encode(tiles)

    def prefill(self, n_tokens: int) -> float:
        """Prompt tokens per second."""
        return n_tokens / self._median(f"prefill {n_tokens} tokens", self.prefilling(n_tokens))

    def prefilling(self, n_tokens: int) -> Callable[[], object]:
        """What reads a prompt of this many tokens."""
        ids = self._ids(n_tokens)
        return lambda: self._model.core.new_session(n_tokens).prefill(ids, None, None)

    def decode(self, n_streams: int) -> float:
        """Tokens per second of all streams together."""
        once = self.decoding(n_streams)
        seconds = self._median(f"decode {n_streams} streams", once)
        return n_streams * self._plan.tokens / seconds

    def decoding(self, n_streams: int) -> Callable[[], None]:
        """Prefills a prompt per stream; what is returned decodes the plan's tokens."""
        n_tokens = self._plan.tokens
        prompt = self._ids(min(64, self.context - n_tokens))
        sessions = [self._model.core.new_session(len(prompt) + n_tokens) for _ in range(n_streams)]
        for session in sessions:
            session.prefill(prompt, None, None)
        step = [[i] for i in self._ids(n_streams)]

        def once() -> None:
            for session in sessions:
                session.rewind(len(prompt))
            for _ in range(n_tokens):
                Session.decode_batch(sessions, step)

        return once

    def page(self) -> tuple[float, float]:
        """Seconds to the first token of a page of seven tiles, and to its last."""
        image, width = self._model.config.image, self._model.config.decoder.width
        n_tiles = min(7, image.max_tiles + 1)
        tiles = self._tiles(n_tiles)
        per_tile: int = self._model.config.projector.tokens_per_tile
        ids = [image.context_token_id] * (n_tiles * per_tile) + self._ids(32)
        n_answer = min(PAGE_TOKENS, self.context - len(ids))
        sampler = Sampler()
        first: list[float] = []

        def once() -> None:
            start = time.perf_counter()
            rows = self._model.encode(tiles).reshape(-1, width)
            session = self._model.core.new_session(len(ids) + n_answer)
            session.prefill(ids, rows, None)
            token, _ = session.sample(sampler)
            first.append(time.perf_counter() - start)
            for _ in range(n_answer):
                session.decode(token, None)
                token, _ = session.sample(sampler)

        page_s = self._median(f"page of {n_tiles} tiles, {n_answer} tokens", once)
        return statistics.median(first[1:] or first), page_s

    def _median(self, name: str, once: Callable[[], object]) -> float:
        """Median seconds over the plan's runs, after one that warms up."""
        self._report(name)
        seconds = []
        for _ in range(1 + self._plan.runs):
            start = time.perf_counter()
            once()
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds[1:] or seconds)

    def _tiles(self, n: int) -> NDArray[np.uint8]:
        px = self._model.config.vision.tile_px
        return self._random.integers(0, 256, (n, px, px, 3), np.uint8)

    def _ids(self, n: int) -> list[int]:
        return [int(i) for i in self._random.integers(0, 200, n)]


def peak_mib() -> float | None:
    """Largest resident memory of this process so far in MiB, where the system tells."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (1 << 20 if sys.platform == "darwin" else 1 << 10)
