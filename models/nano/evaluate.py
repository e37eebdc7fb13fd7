"""Scores the nano model on held-out pages, with Tesseract beside it.

    python models/nano/evaluate.py --checkpoint models/nano/checkpoint --pages 500
    python models/nano/evaluate.py --engine nano.gguf --tesseract --json scores.json
    python models/nano/evaluate.py --checkpoint models/nano/checkpoint --check

The character error rate is the edit distance over the length of the truth, summed over pages.
Confidence is the geometric mean of the probabilities of a page's tokens, as the engine reports it.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from PIL import Image

from export import load_weights
from heldout import TestPage, draw_test_page
from model import BEFORE_IMAGE, IMG_CONTEXT, Nano, after_image
from tiling import closest_grid, split

Reader = Callable[[Image.Image], tuple[str, "float | None"]]
MULTI_TILE_GRIDS = ((2, 2), (3, 2), (2, 3), (2, 1), (1, 2))


def edit_distance(one: str, two: str) -> int:
    """Levenshtein distance in characters."""
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        above = row
        row = [i]
        for j, b in enumerate(two, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
    return row[-1]


def checkpoint_reader(folder: str) -> Reader:
    """Reads with the checkpoint's weights in float32; its tile limit is the folder's."""
    model = Nano().eval()
    load_weights(model.vlm, folder)
    settings = json.loads((Path(folder) / "preprocessor_config.json").read_text())

    def read(image: Image.Image) -> tuple[str, float]:
        tiles = split(image, closest_grid(*image.size, settings["max_patches"]))
        ((text, scores),) = model.read(torch.from_numpy(tiles)[None])
        return text.decode("utf-8", "replace"), math.exp(sum(scores) / len(scores))

    return read


def engine_reader(path: str) -> Reader:
    """Reads with crispvl's own engine."""
    from crispvl import CrispOCR

    engine = CrispOCR(path)

    def read(image: Image.Image) -> tuple[str, float | None]:
        result = engine.recognize(image)
        return result.text, result.confidence

    return read


def tesseract(image: Image.Image) -> tuple[str, None]:
    """Reads with Debian's Tesseract 5, enlarged threefold as its guide advises for small print."""
    enlarged = image.resize((3 * image.width, 3 * image.height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    enlarged.save(buffer, "PNG")
    command = ["tesseract", "-", "-", "--psm", "6"]
    done = subprocess.run(command, input=buffer.getvalue(), capture_output=True, check=True)
    text = done.stdout.decode("utf-8")
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line), None


def test_sets(n_pages: int, multi_tile: bool) -> Iterable[tuple[str, TestPage]]:
    """Named held-out pages: single tiles, photographs, and pages of several tiles."""
    for seed in range(n_pages):
        yield "single", draw_test_page(seed)
    for seed in range(n_pages // 4):
        yield "photo", draw_test_page(1_000_000 + seed, photo=True)
    if multi_tile:
        for seed in range(n_pages // 4):
            grid = MULTI_TILE_GRIDS[seed % len(MULTI_TILE_GRIDS)]
            yield "multi", draw_test_page(2_000_000 + seed, grid)


def score(read: Reader, pages: Iterable[tuple[str, TestPage]]) -> dict[str, dict[str, float]]:
    """Error rates by set, font, size and tile count, and by decile of confidence."""
    errors: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    by_confidence: list[tuple[float, int, int]] = []
    for done, (name, page) in enumerate(pages, 1):
        text, confidence = read(page.image)
        wrong, length = edit_distance(page.text, text), len(page.text)
        groups = [("set", name)]
        if name == "single" and confidence is not None:
            by_confidence.append((confidence, wrong, length))
        if name == "single":
            groups += [("font", page.font), ("x-height", f"{2 * int(page.x_height_px / 2)} px")]
        if name == "multi":
            groups.append(("grid", "{}x{}".format(*page.grid)))
        for group, key in groups:
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


@torch.no_grad()
def check(folder: str) -> float:
    """Largest difference of the lean forward pass's logits from transformers' own."""
    model = Nano().eval()
    load_weights(model.vlm, folder)
    tiles = torch.from_numpy(split(draw_test_page(0).image, (1, 1)))
    ids = torch.tensor([list(b"The quick brown fox")])
    mine, _ = model.logits(model.encode(tiles)[1], "OCR", ids)
    pixels = ((tiles.float() - model.mean) / model.std).permute(0, 3, 1, 2)
    prompt = [*BEFORE_IMAGE, *[IMG_CONTEXT] * 64, *after_image("OCR")]
    whole = torch.cat([torch.tensor([prompt]), ids[:, :-1]], 1)
    theirs = model.vlm(input_ids=whole, pixel_values=pixels).logits[:, -ids.shape[1] :]
    return float((mine - theirs).abs().max())


def main() -> None:
    """Reads the command line and prints the scores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--checkpoint", help="checkpoint folder to score through torch")
    parser.add_argument("--engine", help="GGUF file to score through crispvl")
    parser.add_argument("--tesseract", action="store_true", help="score Tesseract too")
    parser.add_argument("--pages", type=int, default=500, help="single-tile pages")
    parser.add_argument("--multi-tile", action="store_true", help="add pages of several tiles")
    parser.add_argument("--check", action="store_true", help="compare with transformers and stop")
    parser.add_argument("--json", help="also write the scores to this file")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.check:
        print(f"largest logit difference: {check(args.checkpoint):.2e}")
        return
    readers: dict[str, Reader] = {}
    if args.checkpoint:
        readers["checkpoint"] = checkpoint_reader(args.checkpoint)
    if args.engine:
        readers["engine"] = engine_reader(args.engine)
    if args.tesseract:
        readers["tesseract"] = tesseract
    scores = {
        name: score(read, test_sets(args.pages, args.multi_tile)) for name, read in readers.items()
    }
    for name, groups in scores.items():
        for group, found in groups.items():
            for key, rate in found.items():
                print(f"{name:12} {group:18} {key:24} {100 * rate:6.2f}%")
    if args.json:
        Path(args.json).write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main()
