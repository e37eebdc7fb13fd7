"""What strips say: running text, and the codes, amounts and labels of business papers."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from functools import cache
from pathlib import Path

import corpus
from corpus import CHAR_CLASS, Rng

WORD_LISTS = ("french", "ngerman", "spanish", "italian", "portuguese")
CURRENCIES = ("$", "RM", "RM ", "EUR ", "€", "£", "USD ", "SR", "Rs.", "")
UNITS = ("G", "ML", "KG", "CM", "MM", "PCS", "S", "L", "W", "x", "/PK", '"')
SHOP = """
    Cash Change Total Subtotal Tax Invoice Receipt Cashier Bill Table Item Items Qty Description
    Amount Price Rounding Discount Member Card Visa Master Debit Approval Code Ref Tel Fax GST SST
    VAT ID Reg No Co Ltd Sdn Bhd Enterprise Trading Restaurant Hardware Mart Store Stationery Books
    Trading Supplies Jalan Taman Lot Unit Floor Block Road Street Goods Sold Not Returnable
    Exchangeable Thank You Please Come Again Within Days With Original Summary Incl Excl Nett Pcs
    Sales Payment Due Balance Counter Terminal Time Date Customer Copy Merchant Batch Host Trace
    Auth Order Slip Welcome Visit Us Salesperson Doc Document Delivery Served By Point Points
    Points Earned Inclusive Round Adj Charge Service Food Drink Hot Ice Large Small Set Promo Free
""".split()
STREETS = "Jalan Lorong Persiaran Street St. Road Rd. Ave. Avenue Blvd. Lane Drive Suite".split()
LEGAL = """
    Court Plaintiff Defendant Section Article Agreement Pursuant Hereby Whereas Exhibit Witness
    Securities Exchange Commission Annual Report Fiscal Year Ended Net Income Revenue Shares Common
    Stock Directors Officers Committee Board Policy Department State Federal Table Figure Abstract
    Introduction Results Discussion References Appendix Chapter Method Analysis Data Study Percent
""".split()


def digits(rng: Rng, least: int, most: int) -> str:
    """A run of digits; every third one repeats a few of them, which is hard to count."""
    few = rng.choices(string.digits, k=rng.randint(1, 3))
    alphabet = few if rng.random() < 0.3 else string.digits
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(least, most)))


def alphanumeric(rng: Rng, least: int, most: int) -> str:
    """Capitals and digits, in runs or mixed."""
    if rng.random() < 0.5:
        letters = "".join(rng.choice(string.ascii_uppercase) for _ in range(rng.randint(1, 4)))
        return letters + rng.choice(("", "-", " ", "/")) + digits(rng, least, most)
    alphabet = string.ascii_uppercase + string.digits
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(least, most)))


def amount(rng: Rng) -> str:
    """Money or a figure of a table, with thousands, signs, brackets or trailing marks."""
    value = rng.randint(0, 10 ** rng.choice((2, 3, 4, 4, 5, 6, 8)))
    places = rng.choice((0, 2, 2, 2, 2, 2, 2, 1, 3))
    text = (
        f"{value / 10**places:,.{places}f}"
        if rng.random() < 0.5
        else f"{value / 10**places:.{places}f}"
    )
    frame = rng.random()
    if frame < 0.25:
        return rng.choice(CURRENCIES) + text
    if frame < 0.33:
        return f"({text})"
    if frame < 0.4:
        return rng.choice("-+") + text
    if frame < 0.5:
        return text + rng.choice(("%", " %", " SR", " S", " Z", "*", " T", "-", " CR", "x", " €"))
    return text


def day(rng: Rng) -> str:
    """A date as business papers have it, often with a time behind it."""
    a, b, year = rng.randint(1, 31), rng.randint(1, 12), rng.randint(1985, 2030)
    mark = rng.choice("//-.")
    short = f"{year % 100:02d}" if rng.random() < 0.3 else str(year)
    text = rng.choice(
        (
            f"{a:02d}{mark}{b:02d}{mark}{short}",
            f"{a}{mark}{b}{mark}{short}",
            f"{year}{mark}{b:02d}{mark}{a:02d}",
            f"{a:02d}-{rng.choice(corpus.MONTHS)[:3]}-{short}",
            f"{rng.choice(corpus.MONTHS)} {a}, {year}",
            f"{a} {rng.choice(corpus.MONTHS)} {year}",
        )
    )
    return f"{text} {corpus.clock(rng)}" if rng.random() < 0.3 else text


def phone(rng: Rng) -> str:
    """A telephone number with its label more often than not."""
    number = rng.choice(
        (
            f"{digits(rng, 2, 3)}-{digits(rng, 6, 8)}",
            f"+{digits(rng, 2, 2)}({digits(rng, 1, 1)})7-{digits(rng, 4, 4)} {digits(rng, 4, 4)}",
            f"({digits(rng, 3, 3)}) {digits(rng, 3, 3)}-{digits(rng, 4, 4)}",
            f"{digits(rng, 2, 2)} {digits(rng, 4, 4)} {digits(rng, 4, 4)}",
        )
    )
    return rng.choice(("", "Tel: ", "TEL : ", "Tel.", "Fax: ", "Phone ", "H/P:")) + number


def identity(rng: Rng) -> str:
    """A registration, tax, invoice or bar code number, labelled or bare."""
    number = rng.choice(
        (
            digits(rng, 4, 13),
            alphanumeric(rng, 4, 12),
            f"({digits(rng, 5, 7)}-{rng.choice('ADHKMPTUVWX')})",
        )
    )
    if rng.random() < 0.4:
        return number
    label = " ".join(rng.choice(SHOP + corpus.LABELS) for _ in range(rng.randint(1, 2)))
    return label + rng.choice((": ", ":", " : ", " #", " No. ", " ", " NO: ", "=")) + number


def labelled(rng: Rng) -> str:
    """A label with its value, as forms and totals have them."""
    label = " ".join(rng.choice(SHOP + corpus.LABELS) for _ in range(rng.randint(1, 3)))
    value = rng.choice((amount, amount, day, identity, corpus.person, corpus.figure))(rng)
    return label + rng.choice((": ", " : ", ":", " ", "  ", ". ")) + value


def goods(rng: Rng) -> str:
    """A line of a bill: article, size, number, price, code in some order."""
    name = " ".join(
        rng.choice((rng.choice(corpus.ITEMS), rng.choice(corpus.dictionary())))
        for _ in range(rng.randint(1, 4))
    )
    size = f"{rng.randint(1, 999)}{rng.choice(UNITS)}"
    parts = [name]
    if rng.random() < 0.4:
        parts.append(size)
    if rng.random() < 0.3:
        parts.insert(0, digits(rng, 1, 13))
    if rng.random() < 0.4:
        parts.append(
            f"{rng.randint(1, 24)}{rng.choice((' X ', ' x ', 'X', ' @ ', ' '))}{amount(rng)}"
        )
    if rng.random() < 0.5:
        parts.append(amount(rng))
    return " ".join(parts)


def place(rng: Rng) -> str:
    """Part of an address."""
    number = f"{rng.choice(('', 'No. ', 'NO.', 'Lot '))}{rng.randint(1, 999)}"
    street = f"{number}{rng.choice((', ', ' ', '-', 'A, '))}{rng.choice(STREETS)} "
    name = rng.choice((rng.choice(corpus.LAST), rng.choice(corpus.dictionary()).title()))
    parts = (rng.choice(corpus.dictionary()).title() for _ in range(2))
    town = f"{digits(rng, 5, 5)} {' '.join(parts)}"
    numbered = f"{street}{name} {rng.randint(1, 40)}/{rng.randint(1, 40)}"
    return rng.choice((street + name, numbered, town, f"{town}, {name}."))


def shop_words(rng: Rng) -> str:
    """Words of receipts, bills and reports."""
    stock = rng.choice((SHOP, SHOP, LEGAL, corpus.LABELS))
    return " ".join(rng.choice(stock) for _ in range(rng.randint(1, 5))) + rng.choice(
        ("", "", "", ":", ".", "!", ",")
    )


def separator(rng: Rng) -> str:
    """A row of marks, as receipts print rules; short, since only its kind matters."""
    return rng.choice("-=*_.#") * rng.randint(3, 24)


BUSINESS: tuple[Callable[[Rng], str], ...] = (
    *(goods, goods, goods, amount, amount, amount, labelled, labelled, identity, identity),
    *(phone, day, day, place, place, shop_words, shop_words, shop_words),
    *(corpus.email, corpus.person, corpus.figure, separator),
    lambda rng: digits(rng, 6, 24),
    lambda rng: alphanumeric(rng, 3, 16),
)


@cache
def foreign_words() -> tuple[tuple[str, ...], ...]:
    """Word lists of languages written in Latin-1, one tuple each."""
    folder = Path("/usr/share/dict")
    lists = []
    for name in WORD_LISTS:
        lines = (folder / name).read_text(encoding="utf-8", errors="replace").split()
        lists.append(tuple(w for w in lines if all(c in CHAR_CLASS for c in w)))
    return tuple(lists)


def foreign(rng: Rng, n: int) -> list[str]:
    """Words of one such language with capitals and punctuation; half of them have an accent."""
    stock, found = rng.choice(foreign_words()), []
    for _ in range(n):
        word = rng.choice(stock)
        for _ in range(6):
            if not word.isascii() or rng.random() < 0.4:
                break
            word = rng.choice(stock)
        word = word.title() if rng.random() < 0.15 else word
        found.append(word + (rng.choice(",.;:!?") if rng.random() < 0.12 else ""))
    return found


def printed_marks(rng: Rng, run: list[str]) -> list[str]:
    """Quotes, apostrophes and dashes as books print them, and a few signs."""
    text = corpus.typographic(" ".join(run)).replace("...", "…")
    text = re.sub(r"(^|[ (\[“])'", r"\1‘", text).replace("'", "’")
    if rng.random() < 0.5:
        text = text.replace("–", "—")
    run = text.split()
    if rng.random() < 0.3:
        run.insert(rng.randrange(min(4, len(run)) + 1), rng.choice("•·©®§—"))
    return run


def words(rng: Rng) -> list[str]:
    """More words than a strip holds, of one kind of text."""
    kind = rng.random()
    if kind < 0.36:
        run = corpus.sentences(rng, 40)
    elif kind < 0.46:
        run = corpus.words(rng, 40)
    elif kind < 0.56:
        run = foreign(rng, 40)
    else:
        run = []
        while len(run) < 40:
            run += rng.choice(BUSINESS)(rng).split()
    case = rng.random()
    if case < 0.3 + 0.2 * (kind >= 0.56):
        run = [w.upper() for w in run]
    elif case < 0.6:
        run = [w.title() if w.isalpha() else w for w in run]
    if rng.random() < 0.4:
        run = printed_marks(rng, run)
    return [w for w in ("".join(c for c in w if c in CHAR_CLASS) for w in run) if w]
