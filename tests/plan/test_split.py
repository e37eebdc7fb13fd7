"""Layers over devices: the search for shares, without a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from crispvl.options import LoadOptions
from crispvl.options.sizes import device_sizes, parse_device_sizes
from crispvl.plan.split import Shares, find_shares, split_layers
from hypothesis import given
from hypothesis import strategies as st

SIZES = st.lists(st.integers(1, 50), min_size=1, max_size=40)


@given(SIZES, st.integers(0, 100), st.lists(st.integers(-20, 400), min_size=1, max_size=5))
def test_every_layer_goes_to_one_device_and_none_beyond_its_room(
    layers: list[int], head: int, rooms: list[int]
) -> None:
    counts = split_layers(layers, head, rooms)
    assert len(counts) == len(rooms)
    assert sum(counts) == len(layers)
    begin = 0
    for count, room in zip(counts[:-1], rooms, strict=False):
        held = sum(layers[begin : begin + count])
        begin += count
        has_head = count > 0 and begin == len(layers)
        assert held + (head if has_head else 0) <= max(room, 0)
        if begin < len(layers):  # the next layer really had no room
            is_last = begin == len(layers) - 1
            assert held + layers[begin] + (head if is_last else 0) > room


@dataclass(frozen=True)
class Device:
    peak: int
    room: int


class Machine:
    """Devices that take more than their layers, as only measuring tells."""

    def __init__(
        self, limits: Mapping[str, int], layers: list[int], head: int, encoder: int, buffers: int
    ) -> None:
        self.limits, self.layers, self.head = limits, layers, head
        self.encoder, self.buffers = encoder, buffers
        self.n_measured = 0

    def measure(self, shares: Shares) -> dict[str, Device]:
        self.n_measured += 1
        devices, begin = {}, 0
        for i, (name, count) in enumerate(shares):
            peak = sum(self.layers[begin : begin + count])
            begin += count
            peak += self.buffers if count else 0
            peak += self.encoder if i == 0 else 0
            peak += self.head if count and begin == len(self.layers) else 0
            devices[name] = Device(peak, self.limits[name])
        return devices

    def shares(self) -> tuple[Shares, bool]:
        shares = find_shares(self.limits, self.layers, self.head, self.measure)
        devices = self.measure(shares)
        return shares, all(d.peak <= d.room for d in devices.values())


@given(SIZES, st.integers(0, 60), st.integers(0, 60), st.integers(0, 20),
       st.lists(st.integers(1, 600), min_size=1, max_size=4))  # fmt: skip
def test_shares_hold_every_layer_and_fit_where_one_device_alone_would(
    layers: list[int], head: int, encoder: int, buffers: int, limits: list[int]
) -> None:
    machine = Machine({f"d{i}": n for i, n in enumerate(limits)}, layers, head, encoder, buffers)
    shares, fits = machine.shares()
    assert sum(count for _, count in shares) == len(layers)
    assert machine.n_measured <= 17 * len(limits)
    if limits[-1] >= sum(layers) + head + encoder + buffers:
        assert fits


def test_the_first_devices_are_filled_first() -> None:
    machine = Machine({"a": 100, "b": 60, "cpu": 1000}, [10] * 20, 30, 25, 5)
    shares, fits = machine.shares()
    assert fits
    assert shares == (("a", 7), ("b", 5), ("cpu", 8))


def test_a_device_without_room_for_the_encoder_is_left_out() -> None:
    machine = Machine({"a": 20, "cpu": 1000}, [10] * 4, 0, 25, 5)
    assert machine.shares() == ((("cpu", 4),), True)


def test_a_model_that_fits_the_first_device_uses_no_other() -> None:
    machine = Machine({"a": 500, "b": 500}, [10] * 4, 10, 10, 10)
    assert machine.shares() == ((("a", 4),), True)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("cuda:0=20GiB,cpu=40GiB", {"cuda:0": 20 * 2**30, "cpu": 40 * 2**30}),
        ("cpu=1.5GB, cuda=900M", {"cuda": 900_000_000, "cpu": 1_500_000_000}),
    ],
)
def test_sizes_are_read_and_the_host_stands_last(text: str, sizes: dict[str, int]) -> None:
    found = parse_device_sizes(text)
    assert found == sizes
    assert list(found)[-1] == "cpu"


@pytest.mark.parametrize("text", ["", "cpu", "cpu=", "cpu=much", "cpu=0", "=2GB", "cpu=1,cpu=2"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_device_sizes(text)


def test_a_device_besides_the_sizes_is_refused() -> None:
    with pytest.raises(ValueError, match="leave device 'cpu' out"):
        LoadOptions(device="cpu", max_memory={"cpu": "2GB"})
    with pytest.raises(ValueError, match="sizes by device"):
        device_sizes({})
