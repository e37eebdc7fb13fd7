"""How well the lines of pages are found, without reading them.

    python benchmarks/line_places.py
    python benchmarks/line_places.py --real FOLDER --draw OUT

On pages rendered with known places: the mean IoU of lines and of words. On real ones, whose truth
is beside them (``NAME.csv``: lines by eight corner coordinates; ``NAME.hocr``: words): the share of
true boxes that are found, the share of lines found that are none, and how often the number of words
differs. ``--draw`` writes each page with its lines in blue, false ones orange, lost boxes red.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from crispvl._core import Layout, find_layout
from numpy.typing import NDArray
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "layout"))
from rendered import Box, RenderedPage, box_of, mean_iou

COVERED = 0.75  # of a true box's width, by lines of like height, that makes it found
FALSE = 0.2  # of a line's area, in true boxes, below which it is none
HOCR_WORD = re.compile(r"ocrx_word['\"][^>]*?bbox (\d+) (\d+) (\d+) (\d+)")


@dataclass(frozen=True)
class Truth:
    """The true boxes of a page, of words or of lines."""

    boxes: list[Box]
    n_words: list[int]  # in each box

    @classmethod
    def beside(cls, image: Path) -> Truth | None:
        """Reads the truth beside an image; None where it has no places."""
        boxes: list[Box] = []
        n_words: list[int] = []
        if (csv := image.with_suffix(".csv")).exists():
            for line in csv.read_text(encoding="latin-1").splitlines():
                *corners, text = line.split(",", 8)
                if len(corners) == 8:
                    x, y = [int(v) for v in corners[0::2]], [int(v) for v in corners[1::2]]
                    boxes.append((min(x), min(y), max(x), max(y)))
                    n_words.append(len(text.split()))
        elif (hocr := image.with_suffix(".hocr")).exists():
            for found in HOCR_WORD.findall(hocr.read_text(encoding="utf-8")):
                left, top, right, bottom = (int(v) for v in found)
                boxes.append((left, top, right, bottom))
                n_words.append(1)
        return cls(boxes, n_words) if boxes else None


def shared(a: Box, b: Box) -> tuple[float, float]:
    """Width and height that two boxes share; negative where they are apart."""
    return min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])


def is_covered(box: Box, lines: list[Box]) -> bool:
    """Whether lines of about a box's height cover enough of its width."""
    height, covered = box[3] - box[1], np.zeros(max(1, round(box[2] - box[0])), bool)
    for line in lines:
        wide, high = shared(box, line)
        other = line[3] - line[1]
        if wide <= 0 or high < 0.5 * min(height, other) or not 0.4 < other / max(1, height) < 2.2:
            continue
        start = max(0, round(line[0] - box[0]))
        covered[start : max(0, round(line[2] - box[0]))] = True
    return bool(covered.mean() >= COVERED)


def is_false(line: Box, truth: Truth) -> bool:
    """Whether hardly anything of a line is in a true box."""
    parts = [shared(line, box) for box in truth.boxes]
    area = sum(w * h for w, h in parts if w > 0 and h > 0)
    return area < FALSE * (line[2] - line[0]) * (line[3] - line[1])


def wrong_words(truth: Truth, layout: Layout) -> int:
    """True boxes in which another number of words was found than they have, if any was."""
    words = [box_of(quad) for line in layout.lines for quad in line.word_quads]
    wrong = 0
    for box, n_true in zip(truth.boxes, truth.n_words, strict=True):
        inside = [
            word
            for word in words
            if box[0] - 3 <= (word[0] + word[2]) / 2 <= box[2] + 3
            and box[1] <= (word[1] + word[3]) / 2 <= box[3]
        ]
        wrong += bool(inside) and len(inside) != n_true
    return wrong


def draw(path: Path, pixels: NDArray[np.uint8], boxes_by_color: dict[str, list[Box]]) -> None:
    """Writes a page with boxes on it."""
    picture = Image.fromarray(pixels)
    pen, width = ImageDraw.Draw(picture), max(1, picture.width // 700)
    for color, boxes in boxes_by_color.items():
        for box in boxes:
            pen.rectangle(box, outline=color, width=width)
    picture.save(path)


def real_pages(folder: Path, out: Path | None) -> None:
    """Prints the scores of each page of a folder and of the folders in it."""
    total = np.zeros(5)
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png", ".tif")):
        truth = Truth.beside(path)
        if truth is None:
            continue
        pixels = np.ascontiguousarray(Image.open(path).convert("RGB"))
        before = time.process_time()
        layout = find_layout(pixels)
        seconds = time.process_time() - before
        lines = [box_of(line.quad) for line in layout.lines]
        lost = [box for box in truth.boxes if not is_covered(box, lines)]
        false = [line for line in lines if is_false(line, truth)]
        wrong = wrong_words(truth, layout)
        total += len(truth.boxes), len(lost), len(lines), len(false), wrong
        print(
            f"{path.parent.name}/{path.stem:18} {len(truth.boxes):4} boxes {len(lost):3} lost "
            f"{len(lines):4} lines {len(false):3} false {wrong:3} of other words "
            f"{1000 * seconds:5.0f} ms"
        )
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            colors = {"#2060ff": lines, "#ff9000": false, "#ff0000": lost}
            draw(out / f"{path.stem}.png", pixels, colors)
    if total[0]:
        print(
            f"all: {1 - total[1] / total[0]:.1%} of the boxes found, "
            f"{total[3] / max(1, total[2]):.1%} of the lines false, "
            f"{total[4] / total[0]:.1%} of the boxes with another number of words"
        )


def rendered_pages() -> None:
    """Prints the mean IoU of lines and words for each kind of page."""
    for dpi in (100, 150, 200, 300, 600):
        for points in (9, 11, 12):
            page = RenderedPage(dpi=dpi)
            page.write(25, 25, "A heading of its own size", 2 * points)
            page.column(20, 45, 80, 22, points)
            page.column(110, 45, 80, 22, points, first=7)
            layout = find_layout(page.pixels)
            lines = [box_of(line.quad) for line in layout.lines]
            words = [box_of(quad) for line in layout.lines for quad in line.word_quads]
            print(
                f"{dpi:4} dpi {points:3} pt: IoU of lines {mean_iou(page.lines, lines):.3f}, "
                f"of words {mean_iou(page.words, words):.3f}, "
                f"{len(lines)} lines of {len(page.lines)}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, help="folder of pages with their truth")
    parser.add_argument("--draw", type=Path, help="folder for pages with what was found")
    options = parser.parse_args()
    rendered_pages()
    if options.real is None:
        return
    if not options.real.is_dir():
        print(f"{options.real}: skipped, there is no such folder")
        return
    real_pages(options.real, options.draw)


if __name__ == "__main__":
    main()
