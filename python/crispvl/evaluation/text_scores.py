"""How well a model reads: its text against the true one, in the usual measures.

Both are compared in Unicode's composed form (NFC), with runs of white space as one space. Rates
over several texts are all their edits over all their lengths.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crispvl.errors import DocumentError
from crispvl.extras import need
from crispvl.inputs.pipes import is_stream
from crispvl.inputs.suffixes import SUFFIXES

TRUTH_SUFFIXES = (".gt.txt", ".txt")
"""Of the file with the true text of an image of the same name."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Edits between what was read and the true text, and the lengths they are measured by."""

    n_char_edits: int
    n_chars: int
    n_word_edits: int
    n_words: int
    n_longer: int
    """Characters of the longer of the two texts."""

    @property
    def cer(self) -> float:
        """Character error rate: edits per true character. It may exceed 1."""
        return _rate(self.n_char_edits, self.n_chars)

    @property
    def wer(self) -> float:
        """Word error rate: edits per true word."""
        return _rate(self.n_word_edits, self.n_words)

    @property
    def ned(self) -> float:
        """Normalised edit distance: edits per character of the longer text, from 0 to 1."""
        return _rate(self.n_char_edits, self.n_longer)

    def to_dict(self) -> dict[str, float]:
        return {"cer": self.cer, "wer": self.wer, "ned": self.ned, "characters": self.n_chars}


def score(read: str, truth: str) -> Score:
    """Returns the measures of one text.

    Raises:
        ImportError: The package rapidfuzz is not installed.
    """
    read, truth = normalize(read), normalize(truth)
    return Score(
        n_char_edits=edit_distance(read, truth),
        n_chars=len(truth),
        n_word_edits=edit_distance(read.split(), truth.split()),
        n_words=len(truth.split()),
        n_longer=max(len(read), len(truth)),
    )


def total(scores: Iterable[Score]) -> Score:
    """Returns the measures of all texts together."""
    rows = [(s.n_char_edits, s.n_chars, s.n_word_edits, s.n_words, s.n_longer) for s in scores]
    sums = [sum(column) for column in zip(*rows, strict=True)] or [0] * 5
    return Score(
        n_char_edits=sums[0], n_chars=sums[1], n_word_edits=sums[2], n_words=sums[3],
        n_longer=sums[4],
    )  # fmt: skip


def edit_distance(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """Returns how many insertions, deletions and substitutions make one sequence of the other.

    Raises:
        ImportError: The package rapidfuzz is not installed.
    """
    levenshtein = need("rapidfuzz.distance", "eval").Levenshtein
    distance: int = levenshtein.distance(a, b)
    return distance


def normalize(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def find_pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yields the images of a folder, and of those below it, that have their true text beside them.

    Raises:
        DocumentError: There are none.
    """
    if not folder.is_dir():
        raise DocumentError(
            f"[{folder}] expected a folder of images; found none; name the folder that holds them"
        )
    n_pairs = 0
    for image in sorted(folder.rglob("*")):
        if image.suffix.lower() not in SUFFIXES or is_stream(image):
            continue
        for suffix in TRUTH_SUFFIXES:
            truth = image.with_name(image.stem + suffix)
            if truth.is_file():
                n_pairs += 1
                yield image, truth
                break
    if n_pairs == 0:
        raise DocumentError(
            f"[{folder}] expected images with their true text in a .txt of the same name; found "
            "none; add the texts"
        )


def bar_chart(names: list[str], series: dict[str, list[float]], measure: str) -> str:
    """Returns an SVG of shares such as error rates: a group of bars per name, a colour per series.

    Args:
        names: Of the groups.
        series: For each colour, its name and a share per group.
        measure: What the shares are.
    """
    bar_px, left_px, width_px = 12, 260, 760
    group_px = bar_px * len(series) + 8
    most = max([0.01, *(value for values in series.values() for value in values)])
    colors = ["#06c", "#e60", "#393", "#939"]
    parts = []
    for i, name in enumerate(names):
        top = 40 + i * group_px
        parts.append(
            f'<text x="{left_px - 8}" y="{top + 10}" text-anchor="end">{_xml(name)}</text>'
        )
        for j, values in enumerate(series.values()):
            length = (width_px - left_px - 70) * values[i] / most
            y = top + j * bar_px
            parts.append(
                f'<rect x="{left_px}" y="{y}" width="{length:.1f}" height="{bar_px - 2}" '
                f'fill="{colors[j % len(colors)]}"/><text x="{left_px + length + 4:.1f}" '
                f'y="{y + 10}">{values[i]:.1%}</text>'
            )
    for j, label in enumerate(series):
        parts.append(
            f'<text x="{left_px + 200 * j}" y="20" fill="{colors[j % len(colors)]}">'
            f"{_xml(f'{label}: {measure}')}</text>"
        )
    height_px = 48 + len(names) * group_px
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width_px} {height_px}" '
        f'font-family="sans-serif" font-size="11">{"".join(parts)}</svg>\n'
    )


def _rate(edits: int, length: int) -> float:
    return edits / length if length else float(edits > 0)


def _xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
