"""Whole A4 pages and receipts with their text in reading order and the place of every word.

Printed in the held-out fonts with words of ``heldout.py``, as a word processor sets them: a letter,
pages of one and of two columns, a form, a table, a receipt.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from fonts import HELD_OUT_FONTS
from heldout import GOODS, NOUNS, PLACES, VERBS, sentence
from rendered_sheet import RenderedPage, Sheet

A4_MM = 210, 297
RECEIPT_MM = 80, 200
NAMES = "Ellis Moreau Haddad Lindqvist Okafor Brennan Castillo Novak Tanaka Whitfield".split()
TOWNS = "Aldbury Kestrel Bay Norwick Saint Alban Thornton Vale Wexcombe".split()
MONTHS = "January March April June August October December".split()


def fact(rng: random.Random) -> str:
    """A sentence with names and figures."""
    return rng.choice(
        (
            f"On {rng.randint(1, 28)} {rng.choice(MONTHS)} {rng.randint(1988, 2029)} "
            f"{rng.choice(NAMES)} {rng.choice(VERBS)} {rng.randint(2, 900)} pieces for "
            f"${rng.uniform(3, 9000):,.2f} {rng.choice(PLACES)}.",
            f"About {rng.uniform(1, 99):.1f}% of the {rng.choice(NOUNS)}s (see page "
            f"{rng.randint(2, 300)}) were {rng.choice(VERBS)} by J. {rng.choice(NAMES)}, no. "
            f"{rng.randint(1000, 99999)}.",
            f'"The {rng.choice(NOUNS)} is open," said {rng.choice(NAMES)} at '
            f"{rng.randint(1, 12)}:{rng.randint(0, 59):02d}; nobody in {rng.choice(TOWNS)} "
            f"{rng.choice(VERBS)} it.",
        )
    )


def prose(rng: random.Random, n_sentences: int) -> str:
    """Sentences, every fourth with figures."""
    return " ".join(fact(rng) if rng.random() < 0.25 else sentence(rng) for _ in range(n_sentences))


def money(rng: random.Random, most: float = 5000) -> str:
    """An amount."""
    return f"{rng.uniform(0.5, most):,.2f}"


def letter(sheet: Sheet) -> None:
    """A letterhead, an address, a date, paragraphs and a name."""
    rng, left = sheet.rng, float(sheet.px(25))
    head = sheet.style(2.2, bold=True)
    sheet.y = sheet.px(28)
    sheet.write(left, f"{rng.choice(NAMES)} & {rng.choice(NAMES)} Ltd.", head)
    sheet.down(1.5, head)
    for line in (
        f"{rng.randint(2, 99)} {rng.choice(NOUNS).title()} Street, {rng.choice(TOWNS)}",
        f"Telephone {rng.randint(100, 999)} {rng.randint(1000, 9999)}",
    ):
        sheet.write(left, line)
        sheet.down()
    sheet.down(1.5)
    day = f"{rng.randint(1, 28)} {rng.choice(MONTHS)} {rng.randint(1990, 2028)}"
    sheet.write_right(sheet.px(185), day)
    sheet.down(2)
    sheet.write(left, f"Dear {rng.choice(('Ms', 'Mr', 'Dr'))} {rng.choice(NAMES)},")
    sheet.down(2)
    for _ in range(4):
        sheet.paragraph(left, sheet.px(160), prose(rng, 7), False, sheet.px(255))
        sheet.down(0.8)
    sheet.write(left, "Yours sincerely,")
    sheet.down(2.5)
    sheet.write(left, f"{rng.choice(NAMES)}")


def one_column(sheet: Sheet) -> None:
    """A title and paragraphs with headings, justified."""
    rng, left, width = sheet.rng, float(sheet.px(25)), sheet.px(160)
    title = sheet.style(1.7, bold=True)
    sheet.y = sheet.px(30)
    sheet.write(left, f"The {rng.choice(NOUNS)} {rng.choice(PLACES)}", title)
    sheet.down(1.8, title)
    number = 0
    while sheet.y < sheet.px(250):
        number += 1
        sheet.write(left, f"{number}. {rng.choice(NOUNS).title()}", sheet.style(1.25, bold=True))
        sheet.down(1.6)
        for _ in range(2):
            sheet.paragraph(left, width, prose(rng, 9), True, sheet.px(275))
            sheet.down(0.7)


def two_columns(sheet: Sheet) -> None:
    """A title over two justified columns."""
    rng, width = sheet.rng, sheet.px(80)
    title = sheet.style(1.8, bold=True)
    sheet.y = sheet.px(28)
    sheet.write_centred(f"A {rng.choice(NOUNS)} {rng.choice(PLACES)}", title)
    sheet.down(2.2, title)
    top = sheet.y
    for left in (20, 110):
        sheet.y = top
        while sheet.y < sheet.px(265):
            sheet.paragraph(sheet.px(left), width, prose(rng, 8), True, sheet.px(275))
            sheet.down(0.6)


def form(sheet: Sheet) -> None:
    """Labels and values over rules, with a heading to each group."""
    rng = sheet.rng
    sheet.y = sheet.px(30)
    sheet.write_centred("APPLICATION FORM", sheet.style(1.6, bold=True))
    sheet.down(3)
    for group in ("Applicant", "Employment", "Account"):
        sheet.write(sheet.px(20), f"{group} details", sheet.style(1.2, bold=True))
        sheet.down(2)
        values = (
            ("Name", f"{rng.choice('ABCDEF')}. {rng.choice(NAMES)}"),
            ("Date of birth", f"{rng.randint(1, 28):02d}/{rng.randint(1, 12):02d}/1979"),
            ("Street", f"{rng.randint(1, 200)} {rng.choice(NOUNS).title()} Road"),
            ("Town", rng.choice(TOWNS)),
            ("Reference no.", f"{rng.randint(10**6, 10**7)}-{rng.choice('KXZ')}"),
            ("Amount", f"$ {money(rng)}"),
        )
        for label, value in values:
            sheet.write(sheet.px(20), f"{label}:")
            sheet.write(sheet.px(75), value)
            y = sheet.y + sheet.px(1.4)
            sheet.pen.line((sheet.px(73), y, sheet.px(185), y), fill=60, width=sheet.px(0.25))
            sheet.down(2)
        sheet.down(1)


def table(sheet: Sheet) -> None:
    """A title and a ruled table of articles and figures."""
    rng = sheet.rng
    lefts = [20, 34, 92, 120, 150]
    sheet.y = sheet.px(30)
    sheet.write(sheet.px(20), f"Stock of the {rng.choice(NOUNS)}", sheet.style(1.6, bold=True))
    sheet.down(3)
    top = sheet.y - sheet.px(6)
    rows = [["No.", "Article", "Pieces", "Price", "Total"]]
    for number in range(1, 22):
        good = rng.choice(GOODS).replace("_", " ")
        rows.append([f"{number}", good, f"{rng.randint(1, 900)}", money(rng, 99), money(rng)])
    edges = [top]
    for row in rows:
        for left, text in zip(lefts, row, strict=True):
            sheet.write(sheet.px(left), text, sheet.style(bold=row is rows[0]))
        edges.append(sheet.y + sheet.px(2.6))
        sheet.y += sheet.px(8.5)
    thick = max(1, sheet.px(0.2))
    for y in edges:
        sheet.pen.line((sheet.px(17), y, sheet.px(185), y), fill=0, width=thick)
    for x in (17, 31, 89, 117, 147, 185):
        sheet.pen.line((sheet.px(x), edges[0], sheet.px(x), edges[-1]), fill=0, width=thick)


def receipt(sheet: Sheet) -> None:
    """A shop's name, articles with their prices at the right, a total and thanks."""
    rng, left, right = sheet.rng, float(sheet.px(5)), float(sheet.px(75))
    sheet.y = sheet.px(10)
    sheet.write_centred(f"{rng.choice(NAMES).upper()} STORES", sheet.style(1.5, bold=True))
    sheet.down(1.6)
    sheet.write_centred(f"{rng.randint(1, 99)} {rng.choice(TOWNS)}", sheet.style())
    sheet.down(2)
    sheet.write(left, f"{rng.randint(1, 28):02d}/11/2027")
    sheet.write_right(right, f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}")
    sheet.down(2)
    for _ in range(14):
        sheet.write(left, f"{rng.randint(1, 9)} {rng.choice(GOODS).replace('_', ' ').upper()}")
        sheet.write_right(right, money(rng, 60))
        sheet.down()
    sheet.down(0.7)
    for label in ("SUBTOTAL", "TAX 6%", "TOTAL"):
        sheet.write(left, label, sheet.style(bold=label == "TOTAL"))
        sheet.write_right(right, money(rng, 400), sheet.style(bold=label == "TOTAL"))
        sheet.down()
    sheet.down()
    sheet.write_centred("THANK YOU, COME AGAIN", sheet.style())


KINDS: dict[str, Callable[[Sheet], None]] = {
    "letter": letter,
    "one column": one_column,
    "two columns": two_columns,
    "form": form,
    "table": table,
    "receipt": receipt,
}


def draw_page(kind: str, dpi: int, seed: int) -> RenderedPage:
    """The page of a kind and a seed, in one of the held-out fonts at 10 to 12 points."""
    rng = random.Random(f"rendered {kind} {seed}")
    font = HELD_OUT_FONTS[seed % len(HELD_OUT_FONTS)]
    size_mm = RECEIPT_MM if kind == "receipt" else A4_MM
    sheet = Sheet(dpi, rng.choice((10, 11, 12)), font, size_mm, rng)
    KINDS[kind](sheet)
    return RenderedPage(f"{kind}, {dpi} dpi, {font}", sheet.image, tuple(sheet.printed))


def draw_pages(dpis: tuple[int, ...], n_each: int) -> Iterator[RenderedPage]:
    """``n_each`` pages of each kind at each resolution."""
    for i_dpi, dpi in enumerate(dpis):
        for i_kind, kind in enumerate(KINDS):
            for i in range(n_each):
                yield draw_page(kind, dpi, i + n_each * i_dpi + i_kind)
