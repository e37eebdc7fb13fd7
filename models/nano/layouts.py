"""Kinds of page: paragraphs, lists, receipts, forms, tables, scattered words, code, packed print.

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
        """Leaves a gap of some lines, or of part of one."""
        self.y += lines * self.leading * (self.style.ascent + self.style.descent)

    def put(
        self,
        runs: Sequence[tuple[float, str]],
        ink: Color | None = None,
        markup: str | None = None,
    ) -> None:
        """Writes one line of runs, each at its own x, and moves down.

        Args:
            runs: x and text of each run.
            ink: Colour, where it is not the page's.
            markup: The line in Markdown, where that differs from the text.
        """
        for x, text in runs:
            self.page.write(x, self.y, text, self.style, ink)
        self.page.end_line(" ".join(text for _, text in runs), markup)
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
    pieces = corpus.phrases(rng) if rng.random() < 0.4 else None
    while at.has_room() and at.y < fill * page.height:
        indent = rng.choice((0.0, 0.0, 0.04 * page.width))
        n = rng.randint(4, 40)
        words = corpus.recurring(rng, n, pieces) if pieces else corpus.words(rng, n)
        for line in break_lines(at, words):
            if not at.has_room():
                return
            shift = min(indent * (align == 0), max(0.0, at.width - at.style.width(line)))
            at.put([(at.aligned(line, align) + shift, line)])
            indent = 0.0
        at.skip(rng.choice((0.0, 0.0, 0.3, 0.6)))


def packed(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """As much text as fits: the densest supervision per pixel."""
    flow(page, cursor(page, min(x_height_px, 0.07 * page.height), fonts, packed=True))


def paragraph(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """Prose with margins, with a heading on some pages."""
    at = cursor(page, x_height_px, fonts)
    flow(page, at, page.rng.uniform(0.5, 1.3))


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
    mark = rng.choice(("1.", "1)", "-", "*", "–", "a)", "•"))
    number = rng.randint(1, 12)
    while at.has_room():
        head = mark.replace("1", str(number)).replace("a", chr(96 + min(number, 26)))
        number += 1
        item(at, head, corpus.words(rng, rng.randint(1, 6)))


def item(at: Cursor, mark: str, words: Sequence[str]) -> None:
    """An item of a list; the dot of a bullet list is drawn, since not every font has it."""
    width = at.style.width(mark + " ")
    text = at.fit(" ".join(words), at.width - width)
    markup = f"{'-' if mark in '-*–•' else mark} {text}"
    if mark != "•":
        at.put([(at.left, mark), (at.left + width, text)], markup=markup)
        return
    radius = 0.25 * at.style.x_height
    x, y = at.left + 0.3 * width, at.y + at.style.ascent - 0.55 * at.style.x_height
    at.page.draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=at.page.ink)
    at.page.write(at.left + width, at.y, text, at.style)
    at.page.end_line(f"{mark} {text}", markup)
    at.skip(1)


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
    bought = few(rng, corpus.ITEMS)
    rows = rng.randint(1, rng.choice((8, 16, 40)))
    for i in range(rows + rng.randint(0, 4)):
        name = rng.choice(bought if i < rows else sums)
        if i < rows and rng.random() < 0.4:
            name += " " + rng.choice((rng.choice(bought), corpus.word(rng), "large", "500g"))
        if rng.random() < 0.2:
            name = name.upper()
        amount = corpus.price(rng)
        x = at.aligned(amount, 1.0)
        name = at.fit(name, x - at.left - at.style.width("  "))
        if not at.has_room():
            return
        at.put([(at.left, name), (x, amount)] if name else [(x, amount)])
        at.skip(rng.choice((0.0, 0.0, 0.0, 0.3)))


def few(rng: random.Random, choices: Sequence[str]) -> Sequence[str]:
    """On half of the pages only some of the choices, so that they recur."""
    return choices if rng.random() < 0.5 else rng.sample(choices, rng.randint(1, 6))


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
    labels = few(rng, corpus.LABELS)
    while at.has_room():
        label = rng.choice(labels) + rng.choice((":", ":", "", " no."))
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
    grid_rows(at, n, 1000)


def grid_rows(at: Cursor, n_columns: int, n_rows: int) -> None:
    """Rows of a table as far as there is room; the first is its head."""
    page, rng = at.page, at.page.rng
    step, ruled = at.width / n_columns, rng.random() < 0.4
    heads = few(rng, corpus.LABELS) if rng.random() < 0.5 else None
    makers = [
        rng.choice((corpus.figure, corpus.price, corpus.price, corpus.word, corpus.date))
        for _ in range(n_columns)
    ]
    for i in range(n_rows):
        if not at.has_room():
            return
        cells = [rng.choice(heads) if heads and i == 0 else make(rng) for make in makers]
        cells = [at.fit(cell.replace("|", ""), step - at.style.width(" ")) for cell in cells]
        if ruled:
            y = at.y + at.style.ascent + at.style.descent
            page.draw.line([(at.left, y), (at.left + at.width, y)], fill=page.ink)
        runs = [(at.left + j * step, cell) for j, cell in enumerate(cells) if cell]
        at.put(runs, markup=f"| {' | '.join(cells)} |")
        if page.markdown and i == 0:
            page.end_line("|---" * n_columns + "|")
        at.skip(0.15 if ruled else 0.0)


def scattered(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """Short texts, far apart and often the same: what they teach is to find the way."""
    rng = page.rng
    at = cursor(page, x_height_px, fonts)
    n = rng.randint(1, max(1, min(5, int(at.width / at.style.width("n" * 7)))))
    room = at.width / n - at.style.width(" ")
    makers = (corpus.word, corpus.word, corpus.figure, corpus.price, corpus.date, letters)
    few_texts = few(rng, [at.fit(rng.choice(makers)(rng), room) for _ in range(200)])
    # Of a column's free room, the share to the left of the text
    shares = [rng.choice((0.0, 0.0, 1.0, rng.random())) for _ in range(n)]
    if rng.random() < 0.5:
        shares[0], shares[-1] = 0.0, shares[-1] if n == 1 else 1.0
    filled = rng.choice((1.0, 0.8, 0.5))
    while at.has_room():
        runs = []
        for i, share in enumerate(shares):
            text = rng.choice(few_texts)
            if text and rng.random() < filled:
                free = room - at.style.width(text)
                runs.append((at.left + i * at.width / n + share * max(0.0, free), text))
        if runs:
            at.put(runs)
        at.skip(rng.choice((0.0, 0.0, 0.0, 0.4)))


def letters(rng: random.Random) -> str:
    """One to three capitals or figures."""
    return "".join(rng.choice("ABCDEFGHKLMNPRSTUVWXYZ0123456789") for _ in range(rng.randint(1, 3)))


def document(page: Page, x_height_px: float, fonts: Fonts) -> None:
    """Headings, paragraphs, bullet lists and tables, with a gap between them."""
    rng = page.rng
    at = cursor(page, x_height_px, fonts)
    headed = rng.random() < 0.75
    while at.has_room():
        if headed:
            heading(at, fonts, first=not page.lines)
        kind = rng.choice(("paragraph", "paragraph", "list", "table"))
        if kind == "paragraph":
            for line in break_lines(at, corpus.sentences(rng, rng.randint(4, 30))):
                if at.has_room():
                    at.put([(at.left, line)])
        elif kind == "list":
            mark = rng.choice(("•", "•", "-", "1."))
            for i in range(rng.randint(2, 5)):
                if at.has_room():
                    words = corpus.sentences(rng, rng.randint(1, 5))
                    item(at, mark.replace("1", str(i + 1)), words)
        else:
            most = max(2, int(at.width / at.style.width("n" * 8)))
            grid_rows(at, min(rng.randint(2, 4), most), rng.randint(2, 5))
        page.end_block()
        at.skip(rng.uniform(0.5, 1.0))
        headed = rng.random() < 0.3


def heading(at: Cursor, fonts: Fonts, first: bool) -> None:
    """The page's title in large letters, or a section's heading in somewhat larger ones."""
    rng, body = at.page.rng, at.style
    factor = rng.uniform(1.5, 1.9) if first else rng.uniform(1.2, 1.4)
    at.style = pick_face(rng, fonts, factor * body.x_height)
    text = at.fit(" ".join(rng.choice(corpus.dictionary()) for _ in range(rng.randint(1, 4))))
    if text and at.has_room():
        text = text.title() if rng.random() < 0.5 else text.capitalize()
        at.put([(at.left, at.fit(text))], markup=f"{'#' if first else '##'} {at.fit(text)}")
        at.page.end_block()
        at.skip(rng.uniform(0, 0.3))
    at.style = body


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
    if rng.random() < 0.35:
        chosen = rng.choices(chosen[: rng.randint(2, 10)], k=60)
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


Layouts = dict[Callable[[Page, float, Fonts], None], float]
PLAIN: Layouts = {
    packed: 0.16,
    paragraph: 0.28,
    few_words: 0.05,
    listing: 0.05,
    receipt: 0.16,
    form: 0.08,
    table: 0.07,
    code: 0.10,
    document: 0.04,
    blank: 0.01,
}
SCATTERED = 0.05, 0.3  # share of the plain pages of one tile and of several
STRUCTURED: Layouts = {document: 0.62, listing: 0.12, table: 0.18, few_words: 0.06, blank: 0.02}


def draw_page(page: Page, x_height_px: float, fonts: Fonts, n_tiles: int) -> None:
    """Fills a page with a layout drawn by weight; ``x_height_px`` is in page pixels."""
    layouts = STRUCTURED if page.markdown else PLAIN
    layout = page.rng.choices(list(layouts), list(layouts.values()))[0]
    if not page.markdown and page.rng.random() < SCATTERED[n_tiles > 1]:
        layout = scattered
    layout(page, x_height_px, fonts)
