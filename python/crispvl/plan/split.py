"""How many decoder layers go to which device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

Shares = tuple[tuple[str, int], ...]
"""Devices with their numbers of layers, in the order of the layers."""

_MOST_ROUNDS = 16


class Device(Protocol):
    """What `find_shares` asks of a device's plan."""

    @property
    def peak(self) -> int: ...
    @property
    def room(self) -> int | None: ...


def split_layers(layers: Sequence[int], head: int, rooms: Sequence[int]) -> list[int]:
    """Fills devices with layers in order; what has no room anywhere goes to the last.

    Args:
        layers: Bytes of each decoder layer.
        head: Bytes of the output head, which goes with the last layer.
        rooms: Bytes that each device has for these; negative counts as none.

    Returns:
        Layers of each device, ``len(layers)`` in all.
    """
    counts, i_layer = [], 0
    for room in rooms[:-1]:
        begin = i_layer
        while i_layer < len(layers):
            needed = layers[i_layer] + (head if i_layer == len(layers) - 1 else 0)
            if needed > room:
                break
            room -= needed
            i_layer += 1
        counts.append(i_layer - begin)
    return [*counts, len(layers) - i_layer]


def find_shares(
    limits: Mapping[str, int],
    layers: Sequence[int],
    head: int,
    measure: Callable[[Shares], Mapping[str, Device]],
) -> Shares:
    """Finds shares whose measured peaks are within the limits, the first devices filled first.

    What a device takes besides its layers (encoder, buffers, the program) is known only once it is
    measured, so shares are measured, corrected and measured again. A first device that has no room
    for the encoder is left out.

    Args:
        limits: Bytes by device.
        layers: Bytes of each decoder layer, its part of the KV cache included.
        head: Bytes of the output head.
        measure: Plans of the devices of some shares.

    Returns:
        Shares that fit; where none do, the last that were tried.
    """
    names = list(limits)
    for i_first in range(len(names)):
        shares, fits = _correct(names[i_first:], limits, layers, head, measure)
        if fits:
            break
    return shares


def _correct(
    names: Sequence[str],
    limits: Mapping[str, int],
    layers: Sequence[int],
    head: int,
    measure: Callable[[Shares], Mapping[str, Device]],
) -> tuple[Shares, bool]:
    rooms = {name: limits[name] for name in names}  # for layers and head
    tried: set[Shares] = set()
    for _ in range(_MOST_ROUNDS):
        counts = split_layers(layers, head, list(rooms.values()))
        shares = tuple((n, c) for n, c in zip(names, counts, strict=True) if c or n == names[0])
        if shares in tried:
            return shares, False
        tried.add(shares)
        devices = measure(shares)
        if all(devices[name].peak <= _room(devices[name]) for name, _ in shares):
            return shares, True
        begin = 0
        for name, count in shares:
            own = sum(layers[begin : begin + count])
            begin += count
            is_last = count > 0 and begin == len(layers)
            others = devices[name].peak - own - (head if is_last else 0)
            rooms[name] = _room(devices[name]) - others
    return shares, False


def _room(device: Device) -> int:
    return 0 if device.room is None else device.room
