"""A loaded model and the ways in which Python makes processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl import Model
from numpy.typing import NDArray

TILES = np.random.default_rng(0).integers(0, 256, (2, 56, 56, 3), dtype=np.uint8)
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def features(model: Model) -> NDArray[np.float32]:
    tile_px = model.config["vision"]["tile_px"]
    tiles = np.resize(TILES, (2, tile_px, tile_px, 3))
    return model.encode(tiles)


def send_features(model: Model | Path, to: Any) -> None:
    if isinstance(model, Path):
        model = Model.load(model, device="cpu", threads=2)
    to.send(features(model))


def features_of_a_child(method: str, model: Model | Path) -> Any:
    context: Any = multiprocessing.get_context(method)
    here, there = context.Pipe()
    child = context.Process(target=send_features, args=(model, there))
    child.start()
    assert here.poll(60), f"a child by {method} gave no answer"
    found = here.recv()
    child.join(60)
    assert child.exitcode == 0
    return found


@pytest.fixture
def model(tiny: Path) -> Model:
    return Model.load(tiny, device="cpu", threads=2)


@needs_fork
def test_a_forked_child_computes_with_the_model_of_its_parent(model: Model) -> None:
    expected = features(model)
    np.testing.assert_array_equal(features_of_a_child("fork", model), expected)
    np.testing.assert_array_equal(features(model), expected)


@needs_fork
def test_a_fork_while_another_thread_computes_goes_on(model: Model) -> None:
    expected = features(model)
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            features(model)

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        for _ in range(3):
            np.testing.assert_array_equal(features_of_a_child("fork", model), expected)
    finally:
        stop.set()
        thread.join()


@needs_fork
def test_a_forked_child_can_close_the_model(model: Model) -> None:
    features(model)
    child = os.fork()
    if child == 0:
        del model.core
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_spawned_child_loads_and_computes(tiny: Path, model: Model) -> None:
    np.testing.assert_array_equal(features_of_a_child("spawn", tiny), features(model))
