"""Scores readers on real pages with their true text: words, characters and seconds.

Beside each image of a folder is its truth, in one of three forms: ``NAME.csv``, a line's eight
corner coordinates and then its text (ICDAR 2019 SROIE; upper case, so letters' case is ignored);
``NAME.hocr``, words of class ``ocrx_word``; or ``NAME.txt``, the text in reading order.
"""

from __future__ import annotations

import html
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidfuzz.distance import Levenshtein

IMAGES = (".jpg", ".png", ".tif")
READERS = ("crispvl", "tesseract", "rapidocr")
HOCR_WORD = re.compile(r"<span[^>]*class=['\"]ocrx_word['\"][^>]*>(.*?)</span>", re.S)

Reader = Callable[[Path], str]


@dataclass(frozen=True)
class Truth:
    """What a page says."""

    words: list[str]
    ordered: bool  # whether the words are in reading order
    upper: bool  # whether letters' case is lost

    @classmethod
    def beside(cls, image: Path) -> Truth:
        """Reads the truth that is beside an image.

        Raises:
            FileNotFoundError: There is none.
        """
        if (csv := image.with_suffix(".csv")).exists():
            lines = csv.read_text(encoding="latin-1").splitlines()
            texts = [line.split(",", 8)[8] for line in lines if line.count(",") >= 8]
            return cls(" ".join(texts).upper().split(), ordered=False, upper=True)
        if (hocr := image.with_suffix(".hocr")).exists():
            spans = HOCR_WORD.findall(hocr.read_text(encoding="utf-8"))
            words = [html.unescape(re.sub(r"<[^>]*>", "", span)).strip() for span in spans]
            return cls([word for word in words if word], ordered=False, upper=False)
        text = image.with_suffix(".txt").read_text(encoding="utf-8", errors="replace")
        return cls(text.split(), ordered=True, upper=False)


@dataclass(frozen=True)
class Score:
    """How well one page was read."""

    recall: float  # of the true words, wherever they are
    precision: float  # of the words read
    character_errors: float | None  # edit distance over the truth's length, where it has an order
    seconds: float

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and precision."""
        return 2 * self.recall * self.precision / max(1e-9, self.recall + self.precision)


def score(truth: Truth, text: str, seconds: float) -> Score:
    """Compares bags of words, and the characters where the truth is in reading order."""
    found = (text.upper() if truth.upper else text).split()
    same = sum((Counter(truth.words) & Counter(found)).values())
    errors = None
    if truth.ordered:
        whole = " ".join(truth.words)
        errors = Levenshtein.distance(whole, " ".join(found)) / max(1, len(whole))
    return Score(same / max(1, len(truth.words)), same / max(1, len(found)), errors, seconds)


def page_files(folder: Path) -> dict[str, list[Path]]:
    """Images with a truth, by folder: those of ``folder`` itself and of the folders in it."""
    found = {}
    for place in (folder, *sorted(p for p in folder.iterdir() if p.is_dir())):
        pages = [p for p in sorted(place.iterdir()) if p.suffix in IMAGES and has_truth(p)]
        if pages:
            found[place.name] = pages
    return found


def has_truth(image: Path) -> bool:
    """Whether a file with the true text is beside an image."""
    return any(image.with_suffix(suffix).exists() for suffix in (".csv", ".hocr", ".txt"))


def crispvl_reader(model: str | None) -> Reader:
    """The engine with its defaults; the bundled model where none is named."""
    from crispvl import CrispOCR

    engine = CrispOCR(model) if model else CrispOCR()
    return lambda page: engine.recognize(page).text


def tesseract_reader() -> Reader:
    """Debian's Tesseract 5 with its defaults, on one thread: a second one only cost it time."""
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}

    def read(page: Path) -> str:
        command = ["tesseract", str(page), "-"]
        done = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)
        return done.stdout

    return read


def rapidocr_reader() -> Reader:
    """RapidOCR with the models of its wheel (PP-OCRv4)."""
    from rapidocr_onnxruntime import RapidOCR

    engine = RapidOCR()

    def read(page: Path) -> str:
        lines, _ = engine(str(page))
        return "\n".join(line[1] for line in lines or [])

    return read


def reader(name: str, model: str | None) -> Reader:
    """One of ``READERS``."""
    makers: dict[str, Callable[[], Reader]] = {
        "crispvl": lambda: crispvl_reader(model),
        "tesseract": tesseract_reader,
        "rapidocr": rapidocr_reader,
    }
    return makers[name]()


def scores(read: Reader, pages: list[Path]) -> Iterator[tuple[Path, Score]]:
    """Reads page after page, one at a time."""
    for page in pages:
        before = time.perf_counter()
        text = read(page)
        yield page, score(Truth.beside(page), text, time.perf_counter() - before)


def mean(values: list[float]) -> float:
    """Mean; 0 of nothing."""
    return sum(values) / max(1, len(values))


def summary(found: list[Score]) -> dict[str, Any]:
    """Means over pages."""
    errors = [s.character_errors for s in found if s.character_errors is not None]
    return {
        "pages": len(found),
        "recall": mean([s.recall for s in found]),
        "precision": mean([s.precision for s in found]),
        "f1": mean([s.f1 for s in found]),
        "character_errors": mean(errors) if errors else None,
        "seconds_per_page": mean([s.seconds for s in found]),
    }


def print_table(folder: Path, model: str | None, names: list[str]) -> dict[str, Any]:
    """Prints and returns the scores of each reader on each folder of pages."""
    results: dict[str, Any] = {}
    for name in names:
        try:
            read = reader(name, model)
        except ImportError as error:
            print(f"{name}: skipped: {error}")
            continue
        for place, pages in page_files(folder).items():
            rows = []
            for page, found in scores(read, pages):
                rows.append(found)
                print(
                    f"  {name:10} {place}/{page.stem:18} F1 {found.f1:.3f} {found.seconds:6.2f} s"
                )
            total = summary(rows)
            errors = total["character_errors"]
            characters = "" if errors is None else f"  character errors {100 * errors:.2f}%"
            print(
                f"{name:10} {place:12} recall {total['recall']:.3f} "
                f"precision {total['precision']:.3f} F1 {total['f1']:.3f}{characters}"
                f"  {total['seconds_per_page']:.2f} s a page"
            )
            results.setdefault(place, {})[name] = total
    return results
