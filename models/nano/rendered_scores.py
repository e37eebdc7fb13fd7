"""Scores readers on whole rendered pages: characters in reading order, places, damage, seconds."""

from __future__ import annotations

import io
import resource
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from rapidfuzz.distance import Levenshtein

from rendered_damage import DAMAGES, OTHER_DPIS, TEXTLESS
from rendered_pages import KINDS, draw_page, draw_pages
from rendered_sheet import Box, RenderedPage


@dataclass(frozen=True)
class Reading:
    """What a reader made of a page."""

    text: str
    lines: tuple[Box, ...] = ()
    words: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Spent:
    """Time for one page."""

    seconds: float
    user_seconds: float  # of all cores


Reader = Callable[[Image.Image], Reading]


def crispvl_reader(model: str | None) -> Reader:
    """The engine with its defaults; the bundled model where none is named."""
    from crispvl import CrispOCR

    engine = CrispOCR(model) if model else CrispOCR()

    def read(image: Image.Image) -> Reading:
        (page,) = engine.recognize(image).pages
        return Reading(
            page.text,
            tuple(tuple(line.box) for line in page.lines if line.box),
            tuple(tuple(word.box) for word in page.words if word.box),
        )

    return read


def tesseract_reader() -> Reader:
    """Debian's Tesseract 5 with its defaults, told nothing but the picture."""

    def read(image: Image.Image) -> Reading:
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        command = ["tesseract", "-", "-"]
        done = subprocess.run(command, input=buffer.getvalue(), capture_output=True, check=True)
        return Reading(done.stdout.decode("utf-8"))

    return read


READERS: dict[str, Callable[[str | None], Reader]] = {
    "crispvl": crispvl_reader,
    "tesseract": lambda _: tesseract_reader(),
}


def timed(read: Reader, image: Image.Image) -> tuple[Reading, Spent]:
    """Reads a page and takes the time, of this process and of those it started."""

    def user() -> float:
        return sum(
            resource.getrusage(who).ru_utime
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )

    seconds, user_seconds = time.perf_counter(), user()
    reading = read(image)
    return reading, Spent(time.perf_counter() - seconds, user() - user_seconds)


def errors(truth: str, text: str) -> int:
    """Edit distance; white space is one space."""
    return int(Levenshtein.distance(truth, " ".join(text.split())))


def overlap(truth: tuple[Box, ...], found: tuple[Box, ...]) -> float:
    """Mean over true boxes of the best intersection over union with a box that was found."""
    if not truth or not found:
        return 0.0
    a, b = np.array(truth, np.float64)[:, None], np.array(found, np.float64)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    both = sides.clip(0).prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).prod(-1) for box in (a, b)]
    return float((both / (areas[0] + areas[1] - both)).max(1).mean())


def damaged_pages(n_each: int) -> Iterator[tuple[str, RenderedPage]]:
    """Pages of each kind at 200 dpi in each damage, and drawn at other resolutions."""
    for i, kind in enumerate(n_each * [*KINDS]):
        page = draw_page(kind, 200, i)
        yield "as it is", page
        for name, damage in DAMAGES.items():
            yield name, RenderedPage(page.name, damage(page.image), page.printed)
        for dpi in OTHER_DPIS:
            yield f"{dpi} dpi", draw_page(kind, dpi, i)


class Sums:
    """Errors and lengths by group, and times and overlaps by page."""

    def __init__(self) -> None:
        self.characters: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.values: dict[str, list[float]] = defaultdict(list)

    def add(self, group: str, truth: str, text: str) -> int:
        """Counts a page and returns its errors."""
        wrong = errors(truth, text)
        for name in (group, "total"):
            self.characters[name][0] += wrong
            self.characters[name][1] += len(truth)
        return wrong

    @property
    def rates(self) -> dict[str, float]:
        """Character error rates by group."""
        return {name: wrong / max(1, n) for name, (wrong, n) in self.characters.items()}

    @property
    def means(self) -> dict[str, float]:
        """Means of what was measured page by page."""
        return {name: sum(values) / len(values) for name, values in self.values.items()}


def score_upright(read: Reader, pages: list[RenderedPage]) -> dict[str, Any]:
    """Characters by kind of page, overlap of places, seconds."""
    sums = Sums()
    for page in pages:
        found, spent = timed(read, page.image)
        wrong = sums.add(page.name.split(",")[0], page.text, found.text)
        print(f"  {page.name:36} {wrong:4} of {len(page.text):4} {spent.seconds:6.2f} s")
        sums.values["seconds"].append(spent.seconds)
        sums.values["user seconds"].append(spent.user_seconds)
        if found.lines:
            true_words = tuple(word for piece in page.printed for word in piece.words)
            lines = tuple(piece.box for piece in page.printed)
            sums.values["IoU of lines"].append(overlap(lines, found.lines))
            sums.values["IoU of words"].append(overlap(true_words, found.words))
    return {"character errors": sums.rates, "means": sums.means}


def score_damaged(read: Reader, n_each: int) -> dict[str, Any]:
    """Characters by damage."""
    sums = Sums()
    for name, page in damaged_pages(n_each):
        wrong = sums.add(name, page.text, read(page.image).text)
        print(f"  {name:18} {page.name:36} {wrong:4} of {len(page.text):4}")
    return {"character errors": sums.rates}


def score_textless(read: Reader, n_each: int) -> dict[str, Any]:
    """Characters that were read on a page without text, on average."""
    found = {}
    for name, draw in TEXTLESS.items():
        texts = [read(draw(np.random.default_rng(seed))).text for seed in range(n_each)]
        found[name] = sum(len("".join(text.split())) for text in texts) / n_each
    return {"invented characters": found}


def print_rendered(model: str | None, names: list[str], n_each: int) -> dict[str, Any]:
    """Prints and returns each reader's scores on ``n_each`` pages of every kind and resolution."""
    results: dict[str, Any] = {}
    for name in names:
        read = READERS[name](model)
        read(draw_page("receipt", 150, 0).image)  # loads what is loaded once
        parts = {
            "upright": score_upright(read, list(draw_pages((150, 200), n_each))),
            "damaged": score_damaged(read, 1),
            "textless": score_textless(read, 3),
        }
        results[name] = parts
        for part, tables in parts.items():
            for table, values in tables.items():
                for key, value in values.items():
                    shown = (
                        f"{100 * value:8.2f}%" if table == "character errors" else f"{value:8.2f}"
                    )
                    print(f"{name:10} {part:9} {table:20} {key:20} {shown}")
    return results
