"""The same pages give the same bits: from run to run, and with any number of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from crispvl import CrispOCR, Model
from crispvl.hub import bundled
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]


def bits(path: Path, threads: int, exact: bool) -> tuple[NDArray[np.float32], ...]:
    """Image tokens, and the logits after a prompt of more and of fewer tokens than a panel has."""
    model = Model.load(path, device="cpu", threads=threads, exact=exact)
    tile_px = model.config["vision"]["tile_px"]
    tiles = np.random.default_rng(1).integers(0, 256, (3, tile_px, tile_px, 3), dtype=np.uint8)
    session = model.core.new_session(64)
    found = [model.encode(tiles)]
    for prompt in ([5] * 40, [7, 8, 9]):
        session.prefill(prompt, None, None)
        found.append(session.logits().copy())
    return tuple(found)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("name", ["tiny", "nano"])
def test_bits_depend_on_neither_the_run_nor_the_threads(name: str, exact: bool, tiny: Path) -> None:
    path = tiny if name == "tiny" else bundled.path()
    if not path.is_file():
        pytest.skip("this tree has no bundled model")
    expected = bits(path, 1, exact)
    for threads in (1, 2, 3):
        for found, wanted in zip(bits(path, threads, exact), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("name", ["tiny", "nano"])
def test_tiles_of_the_same_pixels_are_encoded_once_and_give_the_same_bits(
    name: str, exact: bool, tiny: Path
) -> None:
    path = tiny if name == "tiny" else bundled.path()
    if not path.is_file():
        pytest.skip("this tree has no bundled model")
    model = Model.load(path, device="cpu", threads=1, exact=exact)
    px, n_group = model.config["vision"]["tile_px"], model.core.tiles_per_graph
    some = np.random.default_rng(1).integers(0, 256, (2 * n_group, px, px, 3), dtype=np.uint8)
    order = [*range(2 * n_group), *[0] * (3 * n_group), n_group]
    passes: list[tuple[int, int]] = []
    found = model.encode(some[order], progress=lambda done, total: passes.append((done, total)))
    alone = np.concatenate([model.encode(tile[None]) for tile in some])
    np.testing.assert_array_equal(found, alone[order])
    assert passes == [(4 * n_group, len(order)), (len(order), len(order))]


def test_words_and_their_confidence_are_the_same_with_any_number_of_threads() -> None:
    page = ROOT / "examples" / "receipt.png"
    if not (page.is_file() and bundled.path().is_file()):
        pytest.skip("this tree lacks the examples or the bundled model")
    found = [CrispOCR(device="cpu", threads=n).recognize(page) for n in (1, 2)]
    assert found[0].text == found[1].text
    assert found[0].confidence == found[1].confidence


def test_graphs_of_several_callers_at_once_give_the_bits_of_one_alone() -> None:
    """A small model computes them beside each other, with a thread each."""
    if not bundled.path().is_file():
        pytest.skip("this tree has no bundled model")
    model = Model.load(bundled.path(), device="cpu", threads=3)
    assert model.core.n_lanes == 3
    tile_px = model.config["vision"]["tile_px"]
    tiles = np.random.default_rng(2).integers(0, 256, (8, 1, tile_px, tile_px, 3), dtype=np.uint8)
    alone = [model.encode(tile) for tile in tiles]
    for _ in range(3):
        with ThreadPoolExecutor(len(tiles)) as callers:
            for found, wanted in zip(callers.map(model.encode, tiles), alone, strict=True):
                np.testing.assert_array_equal(found, wanted)
