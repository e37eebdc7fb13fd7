"""Scores the nano model on held-out pages, with Tesseract beside it.

    python models/nano/evaluate.py --engine nano.gguf --tesseract --json scores.json
    python models/nano/evaluate.py --checkpoint run/export --pages 100
    python models/nano/evaluate.py --checkpoint run/export --types f32 f16 q8_0 q6_k q4_k
    python models/nano/evaluate.py --checkpoint models/nano/checkpoint --check
    python models/nano/evaluate.py --real FOLDER --readers crispvl tesseract rapidocr
    python models/nano/evaluate.py --rendered --readers crispvl tesseract

The character error rate is the edit distance over the length of the truth, summed over pages.
Confidence is the geometric mean of the probabilities of a page's tokens, as the engine reports it.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from PIL import Image
from rapidfuzz.distance import Levenshtein

import real_pages
import rendered_scores
from heldout import (
    Reader,
    Reading,
    TestPage,
    draw_blank_page,
    draw_latin_page,
    draw_markdown_page,
    draw_test_page,
)

Scores = dict[str, dict[str, float]]
MULTI_TILE_GRIDS = ((2, 2), (3, 2), (2, 3), (2, 1), (1, 2))
CONVERTED = ("f32", "f16", "q8_0")  # types that the converter writes
QUANTIZED = {"q6_k": "q6_k", "q4_k": "q4_k_m"}  # and the quantiser's recipes


def engine_reader(path: str | Path) -> Reader:
    """Reads with crispvl's own engine."""
    from crispvl import CrispOCR

    engine = CrispOCR(path)

    def read(pages: list[TestPage]) -> Iterator[Reading]:
        for task, alike in groupby(pages, key=lambda page: page.task):
            for document in engine.recognize_many((page.image for page in alike), task=task):
                if document.error is not None:
                    raise document.error
                yield document.text, document.confidence

    return read


def tesseract(pages: list[TestPage]) -> Iterator[Reading]:
    """Reads with Debian's Tesseract 5, enlarged threefold as its guide advises for small print."""

    def read(page: TestPage) -> Reading:
        image = page.image
        size = (3 * image.width, 3 * image.height)
        buffer = io.BytesIO()
        image.resize(size, Image.Resampling.BICUBIC).save(buffer, "PNG")
        command = ["tesseract", "-", "-", "--psm", "6"]
        done = subprocess.run(command, input=buffer.getvalue(), capture_output=True, check=True)
        lines = (" ".join(line.split()) for line in done.stdout.decode("utf-8").splitlines())
        return "\n".join(line for line in lines if line), None

    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(read, pages)


def test_sets(n_pages: int) -> list[tuple[str, TestPage]]:
    """Named held-out pages: ``n_pages`` single tiles and fewer of each other kind."""
    few = max(1, n_pages // 10)
    pages = [("single", draw_test_page(seed)) for seed in range(n_pages)]
    pages += [("photo", draw_test_page(1_000_000 + i, photo=True)) for i in range(n_pages // 4)]
    for grid in MULTI_TILE_GRIDS:
        first = 2_000_000 + 10_000 * MULTI_TILE_GRIDS.index(grid)
        seeds = range(first, first + n_pages // 20)
        pages += [("multi", draw_test_page(seed, grid)) for seed in seeds]
    pages += [("latin", draw_latin_page(i)) for i in range(few)]
    pages += [("markdown", draw_markdown_page(i)) for i in range(few)]
    pages += [("blank", draw_blank_page(i)) for i in range(few)]
    return pages


def groups(name: str, page: TestPage) -> list[tuple[str, str]]:
    """What a page counts for: its set, and for plain pages font, size or grid."""
    found = [("set", name)]
    if name == "single":
        low = 2 * int(page.x_height_px / 2)
        found += [("font", page.font), ("x-height", f"{max(9, low)} to {low + 2} px")]
    if name == "multi":
        found.append(("grid", "{}x{}".format(*page.grid)))
    return found


def score(read: Reader, pages: list[tuple[str, TestPage]]) -> Scores:
    """Error rates by set, font, size and tile count, and by decile of confidence.

    Blank pages have no truth to divide by; theirs is the share of pages with any text.
    """
    errors: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    by_confidence: list[tuple[float, int, int]] = []
    readings = read([page for _, page in pages])
    for done, ((name, page), (text, confidence)) in enumerate(zip(pages, readings, strict=True), 1):
        wrong, length = Levenshtein.distance(page.text, text), len(page.text)
        if name == "blank":
            wrong, length = int(bool(text)), 1
        if name == "single" and confidence is not None:
            by_confidence.append((confidence, wrong, length))
        for group, key in groups(name, page):
            errors[group][key][0] += wrong
            errors[group][key][1] += length
        if done % 20 == 0:
            print(f"\r{done} pages", end="", file=sys.stderr, flush=True)
    by_confidence.sort()
    for i in range(10):
        part = by_confidence[i * len(by_confidence) // 10 : (i + 1) * len(by_confidence) // 10]
        if part:
            key = f"{i + 1:2}: {part[0][0]:.3f} to {part[-1][0]:.3f}"
            errors["confidence decile"][key] = [sum(p[1] for p in part), sum(p[2] for p in part)]
    return {
        group: {key: wrong / max(1, length) for key, (wrong, length) in sorted(found.items())}
        for group, found in errors.items()
    }


def score_types(
    folder: str, types: list[str], pages: list[tuple[str, TestPage]]
) -> dict[str, Scores]:
    """Scores the files that the product's converter and quantiser make of a checkpoint."""
    from crispvl.convert import convert_checkpoint
    from crispvl.quantize import quantize_file

    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in types:
            file = Path(scratch) / f"{name}.gguf"
            if name in CONVERTED:
                convert_checkpoint(folder, file, dtype=name)
            else:
                source = Path(scratch) / "source.gguf"
                convert_checkpoint(folder, source, dtype="f32")
                quantize_file(source, file, QUANTIZED[name])
            found[name] = score(engine_reader(file), pages)
            print(f"\r{name}: {file.stat().st_size / 1e6:.1f} MB", file=sys.stderr)
    return found


def score_real(args: argparse.Namespace) -> None:
    """Prints the scores on real pages, or why there are none."""
    if not args.real.is_dir():
        print(f"[{args.real}] expected real pages; found none; skipped")
        return
    found = real_pages.print_table(args.real, args.engine, args.readers)
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=1) + "\n")


def score_rendered(args: argparse.Namespace) -> None:
    """Prints the scores on whole rendered pages."""
    names = [name for name in args.readers if name in rendered_scores.READERS]
    found = rendered_scores.print_rendered(args.engine, names, n_each=2)
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Reads the command line and prints the scores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--checkpoint", help="checkpoint folder to score through torch")
    parser.add_argument(
        "--types",
        nargs="+",
        choices=[*CONVERTED, *QUANTIZED],
        help="instead score it as these files",
    )
    parser.add_argument("--engine", help="GGUF file to score through crispvl")
    parser.add_argument("--tesseract", action="store_true", help="score Tesseract too")
    parser.add_argument("--real", type=Path, help="score real pages of this folder and stop")
    parser.add_argument("--rendered", action="store_true", help="score rendered A4 pages and stop")
    parser.add_argument("--readers", nargs="+", choices=real_pages.READERS, default=["crispvl"])
    parser.add_argument("--pages", type=int, default=500, help="single-tile pages")
    parser.add_argument("--check", action="store_true", help="compare with transformers and stop")
    parser.add_argument("--json", help="also write the scores to this file")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if args.real:
        score_real(args)
        return
    if args.rendered:
        score_rendered(args)
        return
    if args.check:
        import checkpoint_scores  # the rest runs without torch

        found = checkpoint_scores.check(args.checkpoint, args.threads)
        print(f"largest logit difference: {found:.2e}")
        return
    pages = test_sets(args.pages)
    scores: dict[str, Scores] = {}
    if args.types:
        scores |= score_types(args.checkpoint, args.types, pages)
    elif args.checkpoint:
        import checkpoint_scores

        read = checkpoint_scores.checkpoint_reader(args.checkpoint, args.threads)
        scores["checkpoint"] = score(read, pages)
    if args.engine:
        scores["engine"] = score(engine_reader(args.engine), pages)
    if args.tesseract:
        plain = [(name, page) for name, page in pages if name != "markdown"]
        scores["tesseract"] = score(tesseract, plain)
    for name, found in scores.items():
        for group, rates in found.items():
            for key, rate in rates.items():
                print(f"{name:12} {group:18} {key:24} {100 * rate:6.2f}%")
    if args.json:
        Path(args.json).write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main()
