"""The loaded benchmark: its neighbours are real, its ratios right, its texts compared."""

from __future__ import annotations

import multiprocessing
from types import ModuleType

import pytest


@pytest.fixture
def neighbours() -> ModuleType:
    pytest.importorskip("crispvl._core")
    import neighbours

    return neighbours


def test_neighbours_are_there_while_it_measures_and_gone_afterwards(
    neighbours: ModuleType,
) -> None:
    with neighbours.neighbours(1, neighbours.LOWEST):
        assert len(multiprocessing.active_children()) == 1
    assert not multiprocessing.active_children()


def test_every_load_is_measured_and_compared_with_the_idle_machine(
    neighbours: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, 1.0, 0.0, 3.0, 0.0, 2.0, *[0.0, 5.0] * 3, *[0.0, 2.2] * 3])
    monkeypatch.setattr(neighbours.time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(neighbours.time, "sleep", lambda seconds: None)
    seconds = neighbours.measure({neighbours.OURS: lambda: "text"}, n_runs=3, n_neighbours=1)
    assert [row[neighbours.OURS] for row in seconds.values()] == [2.0, 5.0, 2.2]
    to_idle = [row[neighbours.OURS] for row in neighbours.ratios(seconds).values()]
    assert to_idle == pytest.approx([1.0, 2.5, 1.1])
    assert "2.50 times idle" in neighbours.table(seconds)


def test_another_text_under_load_ends_the_measurement(
    neighbours: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours.time, "sleep", lambda seconds: None)
    texts = iter(["a", "a", "b"])
    with pytest.raises(SystemExit, match="the same text"):
        neighbours.measure({neighbours.OURS: lambda: next(texts)}, n_runs=1, n_neighbours=1)


def test_beside_tesseract_it_says_who_is_faster(neighbours: ModuleType) -> None:
    row = {neighbours.OURS: 0.5, neighbours.TESSERACT: 2.0}
    assert "4.00 times as fast as Tesseract" in neighbours.table({neighbours.IDLE: row})
