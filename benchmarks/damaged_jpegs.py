"""Damages JPEG files in many ways and counts which of those that still decode are flagged.

    python benchmarks/damaged_jpegs.py --rounds 3

A damage counts where a pixel of the decoded picture is off by more than 48 levels, and as visible
where 2 % of them are. Whole files of the same encoders must not be flagged: then it fails.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from crispvl.inputs.damaged_data import is_damaged_jpeg
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

OFF, VISIBLE = 48, 0.02
OPTIONS: list[dict[str, object]] = [
    {},
    {"optimize": True},
    {"progressive": True},
    {"restart_marker_rows": 1},
    {"subsampling": 0},
]
Levels = NDArray[np.int16]


def page(seed: int) -> Image.Image:
    numbers = random.Random(seed)
    picture = Image.new("RGB", (240, 120), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    for y in range(4, 110, 19):
        words = "".join(numbers.choice("abcdefghiklmnoprstu  ") for _ in range(40))
        draw.text((6, y), words, "black", font)
    return picture


def photograph(seed: int) -> Image.Image:
    numbers = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 9, 160), np.linspace(0, 7, 96))
    colours = [127 + 100 * np.sin(x + y * k) * np.cos(y * k) for k in (1, 1.7, 0.6)]
    levels = np.stack(colours, 2) + numbers.normal(0, 6, (96, 160, 3))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def encoded(picture: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


def decoded(data: bytes) -> Levels | None:
    try:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int16)
    except Exception:  # a damage that the decoder finds itself
        return None


class Layout:
    """Where the scans of a JPEG are, as ``(mark, data, end)``, and its restarts."""

    def __init__(self, data: bytes) -> None:
        self.scans: list[tuple[int, int, int]] = []
        self.restarts: list[int] = []
        at = 2
        while data[at + 1] != 0xD9:
            end = begin = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            if data[at + 1] == 0xDA:
                end = self._end_of_data(data, begin)
                self.scans.append((at, begin, end))
            at = end

    def _end_of_data(self, data: bytes, at: int) -> int:
        while True:
            at = data.index(b"\xff", at)
            if 0xD0 <= data[at + 1] <= 0xD7:
                self.restarts.append(at)
            elif data[at + 1] != 0:
                return at
            at += 2


def damages(data: bytes, numbers: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yields names of damages and the file with each."""
    layout = Layout(data)
    _, begin, end = max(layout.scans, key=lambda scan: scan[2] - scan[1])
    for n_bytes in (1, 4, 30, 200):
        for _ in range(4):
            at = numbers.randrange(begin, end - 1)
            behind = min(at + n_bytes, end)
            other = bytes(numbers.randrange(255) for _ in range(behind - at))
            yield f"{n_bytes:3} zeroed", data[:at] + bytes(behind - at) + data[behind:]
            yield f"{n_bytes:3} dropped", data[:at] + data[behind:]
            yield f"{n_bytes:3} overwritten", data[:at] + other + data[behind:]
            yield f"{n_bytes:3} twice", data[:behind] + data[at:]
    for _ in range(8):
        at = numbers.randrange(begin, end - 1)
        yield "a bit", data[:at] + bytes([data[at] ^ 1 << numbers.randrange(8)]) + data[at + 1 :]
        at = numbers.randrange(2, layout.scans[0][1])
        flipped = bytes([data[at] ^ 1 << numbers.randrange(8)])
        yield "a bit of the header", data[:at] + flipped + data[at + 1 :]
    for at, _, behind in layout.scans[1:]:
        yield "a scan missing", data[:at] + data[behind:]
        yield "all scans behind missing", data[:at] + b"\xff\xd9"
    yield from _restarts(data, layout.restarts)


def _restarts(data: bytes, places: list[int]) -> Iterator[tuple[str, bytes]]:
    for first, second, third in zip(places, places[1:], places[2:], strict=False):
        yield "a restart missing", data[:first] + data[second:]
        swapped = data[second + 2 : third] + data[second : second + 2] + data[first + 2 : second]
        yield "data of restarts swapped", data[: first + 2] + swapped + data[third:]


def main() -> int:
    parser = argparse.ArgumentParser(description="Counts which damaged JPEG files are flagged.")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    numbers = random.Random(0)
    counts: dict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(4, np.int64))
    n_whole = n_alarms = 0
    for i_round in range(options.rounds):
        for picture in (page(i_round), photograph(i_round)):
            for quality in (30, 75, 95):
                for form in OPTIONS:
                    data = encoded(picture, quality=quality, **form)
                    n_whole, n_alarms = n_whole + 1, n_alarms + is_damaged_jpeg(data)
                    count(data, numbers, counts)
    print(f"{'damage':26} decoded flagged  visible flagged")
    counts["all"] = sum(counts.values(), np.zeros(4, np.int64))
    for name, (n, n_flagged, n_visible, both) in sorted(counts.items()):
        shares = f"{n_flagged / max(n, 1):7.1%}  {n_visible:7} {both / max(n_visible, 1):7.1%}"
        print(f"{name:26} {n:7} {shares}")
    print(f"{n_alarms} of {n_whole} whole files flagged")
    return 0 if n_alarms == 0 else 1


def count(data: bytes, numbers: random.Random, counts: dict[str, NDArray[np.int64]]) -> None:
    whole = decoded(data)
    assert whole is not None
    for name, damaged in damages(data, numbers):
        found = decoded(damaged)
        if found is None:
            continue
        off = (np.abs(found - whole) > OFF).any(2) if found.shape == whole.shape else np.ones(1)
        if off.any():
            flagged, visible = is_damaged_jpeg(damaged), off.mean() > VISIBLE
            counts[name] += [1, flagged, visible, flagged and visible]


if __name__ == "__main__":
    sys.exit(main())
