"""Draws a training page and labels it densely.

A layout (``layouts.py``) writes lines onto a page (``page.py``), which remembers where every
character is. :func:`sample` picks everything by a seed, degrades the picture and returns the tiles
with four kinds of truth: the text, the image token that each character of the text is in, the
character under every patch centre, and the characters whose centres are in every token's cell.
"""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from corpus import CHAR_CLASS
from fonts import TRAIN_FONTS
from layouts import draw_page
from page import Page, colors, page_size, x_height
from strips import draw_strips
from tiling import TILE_PX, split

N_SLOTS = 6  # characters that one image token's cell can name
CELLS = 8  # image tokens along a tile's edge
PATCHES = 16  # patches along a tile's edge
STRIPS = 0.8  # share of the plainly read single tiles that are strips of a page's lines
NOWHERE = -100  # source of a character that is not drawn: a space, a line's end, a mark


@dataclass(frozen=True)
class Sample:
    """One page ready for training."""

    tiles: np.ndarray  # uint8 [n_tiles, TILE_PX, TILE_PX, 3], the thumbnail included
    prompt: str
    text: str
    sources: list[int]  # per character of the text the image token it is in, or NOWHERE
    slots: np.ndarray  # int64 [columns * rows, CELLS * CELLS, N_SLOTS]
    patches: np.ndarray  # int64 [columns * rows, PATCHES * PATCHES]


def degrade(image: Image.Image, rng: random.Random) -> Image.Image:
    """Blur, JPEG, noise and uneven light, each on a part of the pages."""
    if rng.random() < 0.15:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.8)))
    if rng.random() < 0.2:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=rng.randint(50, 95))
        image = Image.open(buffer).convert("RGB")
    if rng.random() < 0.2:
        generator = np.random.default_rng(rng.getrandbits(32))
        pixels = np.asarray(image, np.float32)
        height, width = pixels.shape[:2]
        pixels = pixels + generator.normal(0, rng.uniform(1, 10), pixels.shape).astype(np.float32)
        if rng.random() < 0.5:
            light = np.linspace(1, rng.uniform(0.75, 1), width if rng.random() < 0.5 else height)
            across = len(light) == width
            pixels = pixels * (light[None, :, None] if across else light[:, None, None])
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return image


def homography(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The 3 x 3 projective map that takes four points ``[4, 2]`` to four others."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows), np.array(values)), 1.0).reshape(3, 3)


def photograph(page: Page, rng: random.Random) -> Image.Image:
    """Turns the page by up to 1.5 degrees and tilts it a little, labels with it."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (page.width, page.height)
    angle, centre = math.radians(rng.uniform(-1.5, 1.5)), corners.mean(0)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    moved = (corners - centre) @ turn + centre
    if rng.random() < 0.5:
        moved += [[rng.uniform(-0.02, 0.02) * n for n in page.image.size] for _ in corners]
    forth, back = homography(corners, moved), homography(moved, corners)
    image = page.image.transform(
        page.image.size,
        Image.Transform.PERSPECTIVE,
        tuple(back.flatten()[:8]),
        Image.Resampling.BICUBIC,
        fillcolor=page.background,
    )
    if page.boxes:
        boxes = np.array([box[1:] for box in page.boxes]).reshape(-1, 2, 2)
        middle = boxes.mean(1)
        x, y, w = forth @ np.append(middle, np.ones((len(middle), 1)), 1).T
        boxes += (np.stack([x / w, y / w], 1) - middle)[:, None]
        page.boxes = [
            (box[0], *place) for box, place in zip(page.boxes, boxes.reshape(-1, 4), strict=True)
        ]
    return image


def labels(page: Page, grid: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Slot and patch labels of a page's tiles, without its thumbnail."""
    columns, rows = grid
    sx, sy = columns * TILE_PX / page.width, rows * TILE_PX / page.height
    patch = np.zeros((rows * PATCHES, columns * PATCHES), np.int64)
    slot = np.zeros((rows * CELLS, columns * CELLS, N_SLOTS), np.int64)
    used = np.zeros((rows * CELLS, columns * CELLS), np.int64)
    patch_px, cell_px = TILE_PX // PATCHES, TILE_PX // CELLS
    for label, left, top, right, bottom in page.boxes:
        x0 = math.ceil(left * sx / patch_px - 0.5)
        x1 = math.ceil(right * sx / patch_px - 0.5)
        y0 = math.ceil(top * sy / patch_px - 0.5)
        y1 = math.ceil(bottom * sy / patch_px - 0.5)
        patch[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = label
        column = int((left + right) / 2 * sx // cell_px)
        row = int((top + bottom) / 2 * sy // cell_px)
        if 0 <= row < len(slot) and 0 <= column < columns * CELLS and used[row, column] < N_SLOTS:
            slot[row, column, used[row, column]] = label
            used[row, column] += 1
    patch = patch.reshape(rows, PATCHES, columns, PATCHES).swapaxes(1, 2)
    slot = slot.reshape(rows, CELLS, columns, CELLS, N_SLOTS).swapaxes(1, 2)
    return slot.reshape(-1, CELLS**2, N_SLOTS), patch.reshape(-1, PATCHES**2)


def sources(page: Page, text: str, grid: tuple[int, int]) -> list[int]:
    """Image token of each character of the text; all boxes are in the text, in its order."""
    columns, rows = grid
    found, boxes = [], iter(page.boxes)
    box = next(boxes, None)
    for char in text:
        if box is None or CHAR_CLASS.get(char) != box[0]:
            found.append(NOWHERE)
            continue
        x = (box[1] + box[3]) / 2 * columns * CELLS / page.width
        y = (box[2] + box[4]) / 2 * rows * CELLS / page.height
        column = min(max(int(x), 0), columns * CELLS - 1)
        row = min(max(int(y), 0), rows * CELLS - 1)
        tile = row // CELLS * columns + column // CELLS
        found.append(tile * CELLS**2 + row % CELLS * CELLS + column % CELLS)
        box = next(boxes, None)
    return found


def strips_sample(rng: random.Random, fonts: tuple[str, ...]) -> Sample:
    """A tile of strips: damaged strip by strip, so not once more as a page."""
    page = Page(TILE_PX, TILE_PX, (255, 255, 255), (0, 0, 0), rng)
    draw_strips(page, fonts)
    slot, patch = labels(page, (1, 1))
    tiles = np.asarray(page.image)[None]
    text = "\n".join(page.lines)
    return Sample(tiles, "OCR", text, sources(page, text, (1, 1)), slot, patch)


def sample(
    seed: int,
    grid: tuple[int, int] = (1, 1),
    prompt: str = "OCR",
    fonts: tuple[str, ...] = TRAIN_FONTS,
) -> Sample:
    """Makes the page of a seed, cut into ``grid`` (columns, rows) tiles, and what to answer."""
    rng = random.Random(seed)
    if grid == (1, 1) and prompt == "OCR" and rng.random() < STRIPS:
        return strips_sample(rng, fonts)
    width, height = page_size(rng, grid)
    page = Page(width, height, *colors(rng), rng, markdown=prompt == "Markdown")
    n_tiles = grid[0] * grid[1]
    scale = math.sqrt(width * height / n_tiles) / TILE_PX  # page pixels per tile pixel
    draw_page(page, x_height(rng, n_tiles) * scale, fonts, n_tiles)
    image = photograph(page, rng) if rng.random() < 0.15 else page.image
    slot, patch = labels(page, grid)
    tiles = split(degrade(image, rng), grid)
    return Sample(tiles, prompt, page.text, sources(page, page.text, grid), slot, patch)
