"""Sizes of memory as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12,
          "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}  # fmt: skip


def parse_size(size: int | str) -> int:
    """Returns bytes.

    Args:
        size: A number, or a text such as ``20GiB``, ``1.2GB`` or ``850000000``.

    Raises:
        ValueError: Another text, or a size of nothing.
    """
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*(|k|m|g|t|ki|mi|gi|ti)b?", str(size).strip().lower())
    if match is None or float(match[1]) == 0:
        raise ValueError(
            f"[size] expected a size over 0; found '{size}'; write it like 1.2GB, 900MiB or "
            "850000000"
        )
    return int(float(match[1]) * _UNITS[match[2]])


def parse_device_sizes(text: str) -> dict[str, int]:
    """Reads ``cuda:0=20GiB,cpu=40GiB``.

    Raises:
        ValueError: It reads otherwise.
    """
    sizes: dict[str, int | str] = {}
    for part in text.split(","):
        name, separator, size = part.partition("=")
        if not separator or name.strip() in sizes:
            raise ValueError(
                f"[max_memory] expected devices, each once, with a size; found '{text}'; write "
                "them like cuda:0=20GiB,cpu=40GiB"
            )
        sizes[name.strip()] = size
    return device_sizes(sizes)


def device_sizes(sizes: Mapping[str, int | str]) -> dict[str, int]:
    """Returns bytes by device, the host last.

    Raises:
        ValueError: No device, or no size.
    """
    if not isinstance(sizes, Mapping) or not sizes or not all(sizes):
        raise ValueError(
            "[max_memory] expected sizes by device, like {'cuda:0': '20GiB', 'cpu': '40GiB'}; "
            f"found {sizes!r}; name the devices to use"
        )
    in_order = sorted(sizes, key=lambda name: name.lower() == "cpu")
    return {name: parse_size(sizes[name]) for name in in_order}
