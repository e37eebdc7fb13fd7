"""Tiles of strips: the lines of a page as the reader packs them, damaged as scans are.

The reader (``layout="lines"``) finds the lines of a page, cuts them into strips at word gaps,
scales each to one height and stacks them on tiles of the model's size, a strip to a row of image
tokens. Here such tiles are drawn. A strip without text (a rule, specks, part of a picture or a bar
code) is answered by an empty line, so that the answer has as many lines as the tile has strips.
"""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import strip_texts
from corpus import CHAR_CLASS
from fonts import MONO_FONTS, Face, face, has_glyph, x_height_ratio
from page import Page
from tiling import TILE_PX

ROWS = 8  # strips of a tile
PITCH_PX = TILE_PX // ROWS  # a row of image tokens
STRIP_PX = 26  # height of a strip
LEFT_PX = 6
MOST_PX = 212  # width of a strip
EMPTY = 0.03  # share of strips without text
LEGIBLE = 0.5  # least correlation of a damaged print with its ink


@dataclass(frozen=True)
class Scan:
    """How the lines of one document came to be pixels."""

    x_height: float  # of the strip, in pixels of the tile
    size_px: int  # em at the scan's own resolution
    stretch: float  # of the width
    tracking: float  # added between letters, in em
    dots: bool  # dot-matrix print
    weight: float  # -1 thin .. 1 thick
    blur: float  # radius in x-heights
    faded: float  # how much of the ink is lost in patches
    noise: float  # grey levels
    specks: float  # share of pixels
    show_through: float  # strength of the back page's print
    levels: tuple[float, float]  # ink and paper
    bilevel: float | None  # threshold between ink and paper
    jpeg: int | None  # quality
    slope: float  # rise per width
    ruled: float  # share of strips with rules
    pitch: float | None  # of tightly set lines, in em: the neighbours reach into the strip
    spread: float  # share of word gaps that are wide, as between columns

    @classmethod
    def draw(cls, rng: random.Random) -> Scan:
        """Good prints and bad ones: about a third are nearly clean."""
        clean = rng.random() < 0.35

        def some(share: float, low: float, high: float) -> float:
            return rng.uniform(low, high) if not clean and rng.random() < share else 0.0

        return cls(
            x_height=rng.uniform(10, 13.5) if rng.random() < 0.75 else rng.uniform(7.5, 14.5),
            size_px=round(math.exp(rng.uniform(math.log(15), math.log(64)))),
            stretch=math.exp(rng.gauss(0, 0.2)),
            tracking=some(0.12, -0.05, 0.2),
            dots=rng.random() < (0.0 if clean else 0.1),
            weight=some(0.5, -1, 1),
            blur=some(0.5, 0.03, 0.16),
            faded=some(0.25, 0.2, 0.9),
            noise=some(0.5, 2, 28),
            specks=some(0.2, 0.001, 0.02),
            show_through=some(0.1, 0.1, 0.35),
            levels=(rng.uniform(0, 90), rng.uniform(232, 255))
            if rng.random() < 0.7
            else (0.0, 255.0),
            bilevel=rng.uniform(0.35, 0.68) if rng.random() < (0.1 if clean else 0.3) else None,
            jpeg=rng.randint(25, 90) if rng.random() < (0.1 if clean else 0.45) else None,
            slope=rng.gauss(0, 0.008) if rng.random() < 0.4 else 0.0,
            ruled=rng.uniform(0.3, 1) if rng.random() < 0.12 else 0.03,
            pitch=rng.uniform(0.85, 1.15) if rng.random() < 0.2 else None,
            spread=rng.uniform(0.2, 0.8) if rng.random() < 0.15 else 0.03,
        )


def ink_of(text: str, style: Face, scan: Scan) -> tuple[Image.Image, list[float]]:
    """Ink (0 to 255) of a text at the scan's resolution, and the edges of its characters.

    The picture has a margin of one em on each side; its baseline is 1.5 em from the top, of 3.
    """
    em = scan.size_px
    edges = [e + i * scan.tracking * em for i, e in enumerate(style.edges(text))]
    edges = [em + e for e in edges]
    picture = Image.new("L", (math.ceil(edges[-1]) + em, 3 * em), 0)
    pen = ImageDraw.Draw(picture)
    if scan.tracking:
        for char, x in zip(text, edges, strict=False):
            pen.text((x, 1.5 * em), char, font=style.font, fill=255, anchor="ls")
    else:
        pen.text((em, 1.5 * em), text, font=style.font, fill=255, anchor="ls")
    return picture, edges


def add_neighbours(ink: Image.Image, style: Face, scan: Scan, rng: random.Random) -> None:
    """Draws other lines above and below; the strip shows of them what reaches into it."""
    if scan.pitch is None:
        return
    pen = ImageDraw.Draw(ink)
    for above_or_below in (-1, 1):
        text = " ".join(strip_texts.words(rng)[:12])
        x, y = rng.uniform(-4, 2) * scan.size_px, (1.5 + above_or_below * scan.pitch) * scan.size_px
        pen.text((x, y), text, font=style.font, fill=255, anchor="ls")


def as_dots(ink: Image.Image, style: Face, rng: random.Random) -> Image.Image:
    """Print of a dot-matrix head: the ink sampled at a coarse grid, a round dot for each hit."""
    pitch = max(2, round(style.x_height / rng.choice((5, 5, 6, 7))))
    grid = ink.resize(
        (max(1, ink.width // pitch), max(1, ink.height // pitch)), Image.Resampling.BOX
    )
    hit = np.asarray(grid) > rng.uniform(70, 120)
    place = (np.arange(pitch) + 0.5) / pitch - 0.5
    reach = rng.uniform(0.4, 0.62)
    dot = ((place[:, None] ** 2 + place[None] ** 2) <= reach**2).astype(np.uint8) * 255
    dots = Image.fromarray(np.kron(hit.astype(np.uint8), dot))
    full = Image.new("L", ink.size, 0)
    full.paste(dots)
    return full.filter(ImageFilter.GaussianBlur(pitch * rng.uniform(0.15, 0.4)))


def clouds(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> np.ndarray:
    """Smooth random values in 0..1, ``grain`` pixels wide."""
    small = rng.random((max(2, int(shape[0] / grain)), max(2, int(shape[1] / grain)))) * 255
    picture = Image.fromarray(small.astype(np.uint8))
    return np.asarray(picture.resize(shape[::-1], Image.Resampling.BICUBIC), np.float32) / 255


def printed(ink: Image.Image, style: Face, scan: Scan, rng: random.Random) -> np.ndarray:
    """The ink with the damage of its print and its scan; grey levels ``[height, width]``."""
    random_values = np.random.default_rng(rng.getrandbits(32))
    if scan.dots:
        ink = as_dots(ink, style, rng)
    if scan.weight:
        other = ink.filter(
            ImageFilter.MaxFilter(3) if scan.weight > 0 else ImageFilter.MinFilter(3)
        )
        ink = Image.blend(ink, other, min(1.0, abs(scan.weight) * style.x_height / 14))
    if scan.blur:
        ink = ink.filter(ImageFilter.GaussianBlur(scan.blur * style.x_height))
    cover = np.asarray(ink, np.float32) / 255
    if scan.faded:
        patches = clouds(
            random_values, cover.shape, style.x_height * rng.choice((0.25, 0.5, 1.5, 4))
        )
        cover = cover * (1 - scan.faded * (patches > rng.uniform(0.45, 0.8)))
    if scan.show_through:
        cover = np.maximum(
            cover, scan.show_through * np.roll(cover[:, ::-1], style.x_height // 2, 0)
        )
    dark, light = scan.levels
    grey = light + (dark - light) * cover
    if scan.noise:
        grain = random_values.normal(0, scan.noise, grey.shape)
        grey = grey + (
            grain
            if rng.random() < 0.6
            else scan.noise * 3 * (clouds(random_values, grey.shape, 2) - 0.5)
        )
    if scan.specks:
        hit = random_values.random(grey.shape) < scan.specks
        grey = np.where(hit, random_values.choice((dark, light), grey.shape), grey)
    if scan.bilevel is not None:
        dark = min(
            float(np.quantile(grey, 0.03)), light - 1
        )  # faint print has a threshold of its own
        grey = np.where(grey > dark + scan.bilevel * (light - dark), 255.0, 0.0)
    return grey.clip(0, 255)


def is_legible(grey: np.ndarray, ink: Image.Image) -> bool:
    """Whether the damaged print still looks like the ink: what nobody can read teaches guessing."""
    cover = np.asarray(ink, np.float32)
    if grey.std() < 1:
        return False
    return float(np.corrcoef(cover.ravel(), -grey.ravel())[0, 1]) > LEGIBLE


def compressed(grey: np.ndarray, quality: int) -> np.ndarray:
    """The same through JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(grey.astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer), np.float32)


def add_rules(ink: Image.Image, style: Face, rng: random.Random) -> None:
    """Underlines, the rules of a table, and what the lines above and below leave in a strip."""
    pen, em = ImageDraw.Draw(ink), ink.height // 3
    base, thick = 1.5 * em, max(1, round(style.x_height * rng.uniform(0.05, 0.15)))
    kind = rng.random()
    if kind < 0.45:
        y = base + style.x_height * rng.uniform(0.1, 0.5)
        pen.line((0 if rng.random() < 0.6 else em, y, ink.width, y), fill=255, width=thick)
    elif kind < 0.6:
        y = base - style.x_height * rng.uniform(1.5, 1.9)
        pen.line((0, y, ink.width, y), fill=255, width=thick)
    elif kind < 0.8:
        for x in (em * rng.uniform(0.4, 0.8), ink.width - em * rng.uniform(0.4, 0.8)):
            if rng.random() < 0.7:
                pen.line((x, 0, x, ink.height), fill=255, width=thick)
    else:
        above = rng.random() < 0.5
        y = (
            base - style.x_height * rng.uniform(1.7, 2.0)
            if above
            else base + style.x_height * rng.uniform(1.9, 2.3)
        )
        other = "".join(rng.choice("acegmnopqrsuvwxyzgjp") for _ in range(60))
        pen.text((em, y), other, font=style.font, fill=255, anchor="ls")


def textless(rng: random.Random) -> np.ndarray:
    """A strip in which there is nothing to read: rules, specks, a picture, a bar code."""
    random_values = np.random.default_rng(rng.getrandbits(32))
    width = rng.randint(12, MOST_PX)
    grey = np.full((STRIP_PX, width), 250.0, np.float32)
    kind = rng.random()
    if kind < 0.3:
        bars = np.repeat(random_values.random(width) < 0.5, rng.randint(1, 3))[:width]
        grey[:, bars] = rng.uniform(0, 60)
    elif kind < 0.55:
        y = rng.randrange(2, STRIP_PX - 4)
        grey[y : y + rng.randint(1, 4)] = rng.uniform(0, 120)
    elif kind < 0.8:
        grey = 255 * clouds(random_values, grey.shape, rng.uniform(2, 20))
    else:
        grey[clouds(random_values, grey.shape, rng.uniform(1.5, 3)) > rng.uniform(0.8, 0.93)] = (
            rng.uniform(0, 150)
        )
    return grey


def fitting(words: list[str], style: Face, scan: Scan, rng: random.Random) -> str:
    """As many of the words as a strip holds, or fewer where a line ends; wide gaps are spaces."""
    scale = (
        STRIP_PX / style.x_height * scan.x_height / STRIP_PX * scan.stretch
    )  # scan to tile pixels
    room = MOST_PX - 4 if rng.random() < 0.6 else rng.uniform(12, MOST_PX - 4)

    def width(text: str) -> float:
        return (style.width(text) + len(text) * scan.tracking * scan.size_px) * scale

    text = words[0]
    for word in words[1:]:
        gap = " " * (rng.randint(2, 12) if rng.random() < scan.spread else 1)
        if width(text + gap + word) > room:
            break
        text += gap + word
    while len(text) > 1 and width(text) > MOST_PX - 4:
        text = text[:-1]
    return text.strip()


def strip(text: str, style: Face, scan: Scan, rng: random.Random) -> tuple[np.ndarray, list[float]]:
    """One strip ``[STRIP_PX, width]`` and the edges of its characters, in its pixels."""
    em, scale = scan.size_px, scan.x_height / style.x_height
    ink, edges = ink_of(text, style, scan)
    add_neighbours(ink, style, scan, rng)
    if rng.random() < scan.ruled:
        add_rules(ink, style, rng)
    if scan.slope:
        middle = ink.width / 2
        shear = (1, 0, 0, scan.slope, 1, -scan.slope * middle)
        ink = ink.transform(ink.size, Image.Transform.AFFINE, shear, Image.Resampling.BILINEAR)
    grey = printed(ink, style, scan, rng)
    if not is_legible(grey, ink):
        dark, light = scan.levels
        grey = light + (dark - light) * np.asarray(ink, np.float32) / 255
    if scan.jpeg is not None:
        grey = compressed(grey, scan.jpeg)
    # The strip spans ascender to descender around the letters, a little off at times.
    centre = 1.5 * em - style.x_height * 0.5 + rng.gauss(0, 0.06) * style.x_height
    top, bottom = centre - STRIP_PX / scale / 2, centre + STRIP_PX / scale / 2
    margin = rng.uniform(0, 4) / scale
    left, right = edges[0] - margin, edges[-1] + rng.uniform(0, 4) / scale
    width = min(MOST_PX, max(2, round((right - left) * scale * scan.stretch)))
    filters = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
    how = rng.choice(filters[:2]) if scale < 1 else rng.choice(filters[1:])
    box = (max(0.0, left), max(0.0, top), min(ink.width, right), min(ink.height, bottom))
    picture = Image.fromarray(grey.astype(np.uint8)).resize((width, STRIP_PX), how, box=box)
    across = width / (box[2] - box[0])
    return np.asarray(picture, np.float32), [(e - box[0]) * across for e in edges]


def pick_style(rng: random.Random, names: tuple[str, ...], scan: Scan) -> Face:
    """A face at the scan's size."""
    name = rng.choice(names)
    size = max(8, round(scan.size_px * min(1.0, 0.5 / max(0.3, x_height_ratio(name)))))
    return face(name, size)


def draw_strips(page: Page, fonts: tuple[str, ...]) -> None:
    """Fills a page of one tile with strips; most tiles are of one document in one or two faces."""
    rng = page.rng
    scan = Scan.draw(rng)
    names = MONO_FONTS if rng.random() < 0.3 else fonts
    style, words = pick_style(rng, names, scan), strip_texts.words(rng)
    one_document = rng.random() < 0.75
    tile = np.full((TILE_PX, TILE_PX), 255.0, np.float32)
    for row in range(ROWS if rng.random() < 0.8 else rng.randint(1, ROWS)):
        if not one_document or rng.random() < 0.06:
            scan = Scan.draw(rng)
            style = pick_style(rng, names, scan)
        if not one_document or rng.random() < 0.5:
            words = strip_texts.words(rng)
        y = row * PITCH_PX + (PITCH_PX - STRIP_PX) // 2
        if rng.random() < EMPTY:
            grey, text, edges = textless(rng), "", []
        else:
            known = [w for w in words if all(has_glyph(style.font, c) for c in w)]
            text = fitting(known or ["-"], style, scan, rng)
            words = words[len(text.split()) :] or strip_texts.words(rng)
            grey, edges = strip(text, style, scan, rng)
        tile[y : y + STRIP_PX, LEFT_PX : LEFT_PX + grey.shape[1]] = grey
        top, bottom = (
            y + STRIP_PX / 2 - 0.95 * scan.x_height,
            y + STRIP_PX / 2 + 0.8 * scan.x_height,
        )
        for char, left, right in zip(text, edges, edges[1:], strict=False):
            if char != " ":
                page.boxes.append((CHAR_CLASS[char], LEFT_PX + left, top, LEFT_PX + right, bottom))
        page.lines.append(" ".join(text.split()))
    page.image = Image.fromarray(tile.astype(np.uint8)).convert("RGB")
