"""Kinds of page: paragraphs, lists, receipts, forms, tables, code, and tightly packed print.

Each layout fills a :class:`~page.Page` from the top; it stops where the page ends. The layouts of
``examples/`` (a receipt with leading quantities, a terminal, a titled paragraph) are not here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import corpus
from fonts import MONO_FONTS, Face
from page import Color, Page, pick_face

Fonts = tuple[str, ...]


class Cursor:
    """Writes lines down a page in one face."""

    def __init__(self, page: Page, style: Face, leading: float, left: float, right: float) -> None:
        self.page, self.style, self.leading = page, style, leading
        self.left, self.right = left, right  # margins in pixels
        self.y: float = page.rng.uniform(0, 0.12 * page.height)

    @property
    def width(self) -> float:
        """Room for text between the margins."""
        return self.page.width - self.left - self.right

    def has_room(self) -> bool:
        """Whether one more line fits."""
        return self.y + self.style.ascent + self.style.descent <= self.page.height + 1

    def skip(self, lines: float) -> None:
        """Leaves a gap of so many lines."""
        self.y += lines * self.leading * (self.style.ascent + self.style.descent)

    def put(self, runs: Sequence[tuple[float, str]], ink: Color | None = None) -> None:
        """Writes one line of runs, each at its own x, and moves down."""
        for x, text in runs:
            self.page.write(x, self.y, text, self.style, ink)
        self.page.end_line(" ".join(text for _, text in runs))
        self.skip(1)

    def fit(self, text: str, width: float | None = None) -> str:
        """The longest head of a text that fits the width."""
        room = self.width if width is None else width
        while text and self.style.width(text) > room:
            excess = 1 - room / self.style.width(text)
            text = text[: min(len(text) - 1, round(len(text) * (1 - excess) + 1))]
        return text.strip()

    def aligned(self, text: str, share: float) -> float:
        """x of a text placed left (0), centred (0.5) or right (1)."""
        return self.left + share * max(0.0, self.width - self.style.width(text))


def cursor(page: Page, x_height_px: float, fonts: Fonts, packed: bool = False) -> Cursor:
    """A cursor with random face, margins and line spacing."""
    rng = page.rng
    style = pick_face(rng, fonts, x_height_px)
    margin = 0.02 if packed else 0.1
    left, right = (rng.uniform(0.005, margin) * page.width for _ in range(2))
    leading = rng.uniform(0.92, 1.1) if packed else rng.uniform(0.95, 1.45)
    return Cursor(page, style, leading, left, right)


def break_lines(at: Cursor, words: Sequence[str]) -> list[str]:
    """Fills lines greedily with words."""
    lines: list[str] = []
    line = ""
    for word in words:
        longer = f"{line} {word}" if line else word
        if at.style.width(longer) <= at.width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = at.fit(word)
    return [*lines, line] if line else lines


def flow(page: Page, at: Cursor, fill: float = 1.0) -> None:
    """Paragraphs of words until the page, or this share of it, is full."""
    rng = page.rng
    align = rng.choice((0.0, 0.0, 0.0, 0.0, 0.5, 1.0))
    while at.has_room() and at.y < fill * page.height:
        indent = rng.choice((0.0, 0.0, 0.04 * page.width))
        for line in break_lines(at, corpus.words(rng, rng.randint(4, 40))):
            if not at.has_room():
                return
            at.put([(at.aligned(line, align) + indent * (align == 0), line)])
            indent = 0.0
        at.skip(rng.choice((0.0, 0.0, 0.3, 0.6)))


def packed(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """As much text as fits: the densest supervision per pixel."""
    flow(page, cursor(page, min(x_height_px, 0.07 * page.height), fonts, packed=True))


def paragraph(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """Prose with margins, with a heading on some pages."""
    at = cursor(page, x_height_px, fonts)
    flow(page, at, page.rng.uniform(0.2, 1.2))


def few_words(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """A label, a sign, a line: little text anywhere on the page."""
    rng = page.rng
    at = cursor(page, x_height_px * rng.uniform(1, 1.8), fonts)
    at.y = rng.uniform(0, 0.7) * page.height
    for _ in range(rng.randint(1, 4)):
        line = at.fit(" ".join(corpus.words(rng, rng.randint(1, 4))))
        if line and at.has_room():
            at.put([(at.aligned(line, rng.random()), line)])
            at.skip(rng.uniform(0, 1))


def listing(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """A numbered or dashed list."""
    rng = page.rng
    at = cursor(page, x_height_px, fonts)
    mark = rng.choice(("1.", "1)", "-", "*", "–", "a)"))
    number = rng.randint(1, 12)
    while at.has_room():
        head = mark.replace("1", str(number)).replace("a", chr(96 + min(number, 26)))
        number += 1
        line = at.fit(f"{head} {' '.join(corpus.words(rng, rng.randint(1, 6)))}")
        at.put([(at.left, line)])


def receipt(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """A shop's head, rows of item and price with the price at the right, and a sum."""
    rng = page.rng
    at = cursor(page, x_height_px, MONO_FONTS if rng.random() < 0.4 else fonts)
    trade = rng.choice(("Market", "Store", "Shop", "Cafe", "Foods", "& Co"))
    heads = [
        f"{rng.choice(corpus.LAST)} {trade}",
        corpus.address(rng),
        f"Tel {corpus.figure(rng)}",
        f"{corpus.date(rng)} {corpus.clock(rng)}",
        rng.choice(("RECEIPT", "INVOICE", "Thank you!", "Cashier " + rng.choice(corpus.FIRST))),
    ]
    for head in rng.sample(heads, rng.randint(0, 3)):
        head = at.fit(head.upper() if rng.random() < 0.3 else head)
        if at.has_room():
            at.put([(at.aligned(head, 0.5), head)])
    sums = ["Subtotal", "Tax", "TOTAL", "Total", "Cash", "Change", "VISA", "Balance", "Discount"]
    rows = rng.randint(1, 12)
    for i in range(rows + rng.randint(0, 4)):
        item = rng.choice(corpus.ITEMS if i < rows else sums)
        if i < rows and rng.random() < 0.4:
            item += " " + rng.choice((rng.choice(corpus.ITEMS), corpus.word(rng), "large", "500g"))
        if rng.random() < 0.2:
            item = item.upper()
        amount = corpus.price(rng)
        x = at.aligned(amount, 1.0)
        item = at.fit(item, x - at.left - at.style.width("  "))
        if not at.has_room():
            return
        at.put([(at.left, item), (x, amount)] if item else [(x, amount)])
        at.skip(rng.choice((0.0, 0.0, 0.0, 0.3)))


def form(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """Label and value rows, the values in a column or after a colon."""
    rng = page.rng
    at = cursor(page, x_height_px, fonts)
    column = at.left + at.width * rng.uniform(0.35, 0.55) if rng.random() < 0.6 else None
    makers: list[Callable[[random.Random], str]] = [
        corpus.person,
        corpus.date,
        corpus.clock,
        corpus.address,
        corpus.email,
        corpus.figure,
        corpus.figure,
        corpus.price,
        corpus.word,
    ]
    while at.has_room():
        label = rng.choice(corpus.LABELS) + rng.choice((":", ":", "", " no."))
        value = rng.choice(makers)(rng)
        if column is None:
            at.put([(at.left, at.fit(f"{label} {value}"))])
        else:
            label = at.fit(label, column - at.left - at.style.width(" "))
            value = at.fit(value, at.left + at.width - column)
            at.put([run for run in ((at.left, label), (column, value)) if run[1]])
        at.skip(rng.choice((0.0, 0.0, 0.5)))


def table(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """Columns of short cells, with rules on some pages."""
    rng = page.rng
    at = cursor(page, x_height_px, fonts)
    n = max(2, min(rng.randint(2, 5), int(at.width / at.style.width("n" * 7))))
    step, ruled = at.width / n, rng.random() < 0.4
    while at.has_room():
        runs = []
        for i in range(n):
            maker = rng.choice((corpus.figure, corpus.price, corpus.word, corpus.word))
            cell = at.fit(maker(rng), step - at.style.width(" "))
            if cell:
                runs.append((at.left + i * step, cell))
        if ruled:
            y = at.y + at.style.ascent + at.style.descent
            page.draw.line([(at.left, y), (at.left + at.width, y)], fill=page.ink)
        at.put(runs)
        at.skip(0.15 if ruled else 0.0)


def code(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """Source code with its indentation, in colour on some pages."""
    rng = page.rng
    at = cursor(page, x_height_px, MONO_FONTS)
    bright = sum(page.background) > 384
    inks = [page.ink] + [
        tuple(rng.randint(0, 130) if bright else rng.randint(120, 255) for _ in range(3))
        for _ in range(3)
    ]
    colored = rng.random() < 0.5
    start = rng.randrange(len(corpus.code_lines()) - 60)
    chosen = [s for s in corpus.code_lines()[start : start + 60] if s.strip()]
    indent = min((len(s) - len(s.lstrip()) for s in chosen[:12]), default=0)
    for line in chosen:
        if not at.has_room():
            return
        line = at.fit("|" + line[indent:])[1:]  # the bar keeps the indentation from being stripped
        x, runs = at.left, []
        for piece in line.split(" "):
            if piece:
                ink = rng.choice(inks) if colored else page.ink
                page.write(x, at.y, piece, at.style, ink)  # type: ignore[arg-type]
                runs.append(piece)
            x += at.style.width(piece + " ")
        if runs:
            page.end_line(" ".join(runs))
            at.skip(1)


def blank(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """Nothing to read."""


LAYOUTS: dict[Callable[[Page, float, Fonts], None], float] = {
    packed: 0.14,
    paragraph: 0.28,
    few_words: 0.14,
    listing: 0.06,
    receipt: 0.14,
    form: 0.08,
    table: 0.06,
    code: 0.09,
    blank: 0.01,
}


def draw_page(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """Fills a page with a layout drawn by weight; ``x_height_px`` is in page pixels."""
    layout = page.rng.choices(list(LAYOUTS), list(LAYOUTS.values()))[0]
    layout(page, x_height_px, fonts)
