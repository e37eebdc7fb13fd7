"""Draws a training page and labels it densely.

A layout (``layouts.py``) writes lines onto a page (``page.py``), which remembers where every
character is. :func:`sample` picks everything by a seed, degrades the picture and returns the tiles
with three kinds of truth: the text, the character under every patch centre, and the characters
whose centres lie in every image token's cell.
"""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from fonts import TRAIN_FONTS
from layouts import draw_page
from page import Page, colors, page_size, x_height
from tiling import TILE_PX, split

N_SLOTS = 6  # characters that one image token's cell can name
CELLS = 8  # image tokens along a tile's edge
PATCHES = 16  # patches along a tile's edge
IGNORED = -100  # label of positions that have no truth, such as the thumbnail's


@dataclass(frozen=True)
class Sample:
    """One page ready for training."""

    tiles: np.ndarray  # uint8 [n_tiles, TILE_PX, TILE_PX, 3]
    text: str
    slots: np.ndarray  # int64 [n_tiles, CELLS * CELLS, N_SLOTS]
    patches: np.ndarray  # int64 [n_tiles, PATCHES * PATCHES]


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


def rotate(page: Page, degrees: float) -> Image.Image:
    """Turns the page about its centre, labels with it."""
    image = page.image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=page.background)
    angle = math.radians(degrees)
    cos, sin, cx, cy = math.cos(angle), math.sin(angle), page.width / 2, page.height / 2
    turned = []
    for label, left, top, right, bottom in page.boxes:
        x, y = (left + right) / 2 - cx, (top + bottom) / 2 - cy
        dx = cx + cos * x + sin * y - (left + right) / 2
        dy = cy - sin * x + cos * y - (top + bottom) / 2
        turned.append((label, left + dx, top + dy, right + dx, bottom + dy))
    page.boxes = turned
    return image


def labels(page: Page, grid: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Slot and patch labels of a page's tiles; the thumbnail's are ignored."""
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
    patch, slot = patch.reshape(-1, PATCHES**2), slot.reshape(-1, CELLS**2, N_SLOTS)
    if columns * rows > 1:
        patch = np.concatenate([patch, np.full_like(patch[:1], IGNORED)])
        slot = np.concatenate([slot, np.full_like(slot[:1], IGNORED)])
    return slot, patch


def sample(
    seed: int, grid: tuple[int, int] = (1, 1), fonts: tuple[str, ...] = TRAIN_FONTS
) -> Sample:
    """Makes the page of a seed, cut into ``grid`` (columns, rows) tiles."""
    rng = random.Random(seed)
    width, height = page_size(rng, grid)
    page = Page(width, height, *colors(rng), rng)
    n_tiles = grid[0] * grid[1]
    scale = math.sqrt(width * height / n_tiles) / TILE_PX  # page pixels per tile pixel
    draw_page(page, x_height(rng, n_tiles) * scale, fonts)
    image = rotate(page, rng.uniform(-1.5, 1.5)) if rng.random() < 0.12 else page.image
    slot, patch = labels(page, grid)
    return Sample(split(degrade(image, rng), grid), "\n".join(page.lines), slot, patch)
