"""Models too small for threads to share a graph: several threads, each with answers of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from crispvl.engine.engine import Engine
from crispvl.engine.handle import Handle
from crispvl.engine.model import Model
from crispvl.engine.request import Request
from crispvl.engine.token_stream import Token
from crispvl.errors import Cancelled, OutOfMemoryError
from crispvl.options import GenerateOptions

from .conftest import SPECIAL_IDS, TILE_PX, TOKENS_PER_TILE, FakeModel

N_LANES = 3
PATIENCE_S = 20.0


class InLanes(FakeModel):
    """Does what a test says while it encodes a tile; tiles are known by their first byte."""

    n_lanes = N_LANES

    def __init__(self) -> None:
        super().__init__()
        self.answer = list(b"An answer")
        self.at_tile: Callable[[int, Any], object] = lambda mark, cancel: None

    def encode(self, tiles: Any, cancel: Any, progress: Any) -> Any:
        self.at_tile(int(tiles[0, 0, 0, 0]), cancel)
        return super().encode(tiles, cancel, progress)


@pytest.fixture
def core_model(core: FakeModel) -> InLanes:
    return InLanes()


@pytest.fixture
def engine(core_model: InLanes) -> Engine:
    return Engine(Model(core_model))  # type: ignore[arg-type]


def tile(mark: int) -> Request:
    ids = [SPECIAL_IDS["<IMG_CONTEXT>"]] * TOKENS_PER_TILE
    pixels = np.full((1, TILE_PX, TILE_PX, 3), mark, np.uint8)
    return Request(prompt_ids=ids, images=(pixels,), options=GenerateOptions(speculate=False))


def engine_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("crispvl-engine")]


def test_all_lanes_compute_at_once(engine: Engine, core_model: InLanes) -> None:
    all_are_here = threading.Barrier(N_LANES)
    core_model.at_tile = lambda mark, cancel: all_are_here.wait(PATIENCE_S)
    handles = [engine.submit(tile(i)) for i in range(N_LANES)]
    assert [handle.result().text for handle in handles] == ["An answer"] * N_LANES


def test_events_of_an_answer_come_in_their_order_from_whatever_lane(engine: Engine) -> None:
    texts: list[list[str]] = [[] for _ in range(40)]
    ends: list[int] = []

    def listener(i: int) -> Callable[[Any], None]:
        def listen(event: Any) -> None:
            if isinstance(event, Token):
                texts[i].append(event.text)
            elif isinstance(event, Handle):
                ends.append(i)

        return listen

    handles = [engine.submit(tile(i), listener(i)) for i in range(len(texts))]
    engine.wait(handles, "all")
    assert engine.close()
    assert ["".join(text) for text in texts] == ["An answer"] * len(texts)
    assert sorted(ends) == list(range(len(texts)))
    assert engine.counts.n_done == len(texts)


def test_a_lane_whose_request_is_cancelled_or_fails_goes_on(
    engine: Engine, core_model: InLanes
) -> None:
    def encode(mark: int, cancel: Any) -> None:
        if mark == 1:
            raise OutOfMemoryError("[engine] no memory")
        while mark == 2 and not cancel.cancelled:
            time.sleep(0.001)
        if mark == 2:
            raise Cancelled("[encode] cancelled")

    core_model.at_tile = encode
    handles = [engine.submit(tile(i)) for i in range(8)]
    handles[2].cancel()
    with pytest.raises(Cancelled):
        handles[2].result()
    neighbours = [handle for i, handle in enumerate(handles) if i not in (1, 2)]
    assert [handle.result().text for handle in neighbours] == ["An answer"] * 6
    with pytest.raises(OutOfMemoryError):
        handles[1].result()
    counts = engine.counts
    assert (counts.n_done, counts.n_cancelled, counts.n_failed, counts.n_running) == (6, 1, 1, 0)


def test_lanes_end_when_there_is_nothing_to_do(engine: Engine) -> None:
    for _ in range(20):
        handles = [engine.submit(tile(i)) for i in range(5)]
        engine.wait(handles, "all")
    end = time.monotonic() + PATIENCE_S
    while engine_threads():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_single_answer_takes_a_single_lane(engine: Engine) -> None:
    handle = engine.submit(tile(1))
    for _ in handle:
        assert len(engine_threads()) <= 1
