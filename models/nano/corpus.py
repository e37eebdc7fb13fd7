"""What the training pages say: words, figures, prose, code and small business facts.

Prose comes from Python's own documentation and from the quotations of the `fortunes` package, code
from Python's standard library, words from the Debian word list; the rest is made up from a seed.
"""

from __future__ import annotations

import pydoc_data.topics
import random
import re
import string
import sysconfig
from functools import cache
from pathlib import Path

ASCII = [chr(c) for c in range(33, 127)]
LATIN = [chr(c) for c in range(0xC0, 0x100) if c not in (0xD7, 0xF7)]
MARKS = list("€£°–“”")
CHARS = ASCII + LATIN + MARKS
CHAR_CLASS = {char: i + 1 for i, char in enumerate(CHARS)}  # 0: no character
N_CLASSES = len(CHARS) + 1
ALIKE = {"‘": "'", "’": "'", "—": "–", "•": "°", "·": ".", "…": "_", "©": "Ö", "®": "Ö", "§": "S"}
"""Marks without a class of their own, by the one whose class they share in the dense losses."""
CHAR_CLASS |= {char: CHAR_CLASS[like] for char, like in ALIKE.items()}

WORD_LIST = Path("/usr/share/dict/words")
QUOTATIONS = Path("/usr/share/games/fortunes")
ACCENTS = {
    "a": "àáâãäåæ",
    "c": "ç",
    "e": "èéêë",
    "i": "ìíîï",
    "n": "ñ",
    "o": "òóôõöø",
    "u": "ùúûü",
    "y": "ýÿ",
    "A": "ÀÁÂÃÄÅÆ",
    "C": "Ç",
    "E": "ÈÉÊË",
    "I": "ÌÍÎÏ",
    "N": "Ñ",
    "O": "ÒÓÔÕÖØ",
    "U": "ÙÚÛÜ",
    "Y": "Ý",
    "s": "ß",
    "d": "ð",
    "D": "Ð",
    "t": "þ",
    "T": "Þ",
}
ITEMS = """
    Coffee Tea Milk Bread Butter Cheese Apples Bananas Tomatoes Onions Rice Pasta Chicken Beef
    Salmon Eggs Sugar Flour Salt Pepper Juice Water Soda Beer Wine Cake Cookie Muffin Bagel
    Sandwich Salad Soup Pizza Burger Fries Yogurt Honey Jam Cereal Oats Beans Lentils Carrots
    Potatoes Lettuce Spinach Garlic Ginger Lemon Lime Orange Grapes Melon Soap Shampoo Towel
    Paper Pen Notebook Battery Cable Lamp Shirt Socks Gloves Hat Scarf Ticket Parking Shipping
    Service Discount Tip Deposit Repair Filter Brush Paint Nails Screws Hammer Wrench Tape Glue
    Rope Bucket Mop Candle Matches Stamps Envelope Folder
""".split()
LABELS = """
    Name Date Address City Phone Email Country Status Total Subtotal Tax VAT Amount Balance
    Invoice Order Customer Reference Account Number Quantity Price Due Paid Method Department
    Title Version Page Subject From To Company Contact Signature Notes Weight Height Width Size
    Color Model Serial Type Room Floor Building Street State Zip Age Gender Birth Start End Time
    Duration Rate Hours Manager
""".split()
FIRST = """
    Anna Ben Clara David Emma Felix Grace Henry Ida James Kate Liam Maria Noah Olivia Peter
    Quinn Rosa Sam Tina Umar Vera Will Xenia Yusuf Zoe Juan Lena Omar Priya Sofia Tom Wei Mark
    Laura
""".split()
LAST = """
    Smith Jones Brown Taylor Wilson Clark Lewis Walker Hall Young King Wright Green Baker Adams
    Nelson Hill Campbell Mitchell Carter Turner Parker Collins Murphy Bell Cook Bailey Cooper
    Reed Kelly Müller Schäfer García López Núñez Gonçalves Lefèvre Håkansson Søren Åberg Jürgens
    Brontë
""".split()
STREETS = "Street Road Avenue Lane Drive Court Square Way Place Blvd".split()
MONTHS = """
    January February March April May June July August September October November December Jan
    Feb Mar Apr Jun Jul Aug Sep Oct Nov Dec
""".split()

Rng = random.Random


@cache
def dictionary() -> list[str]:
    """English words in plain ASCII; possessives thinned to a few."""
    words = [w for w in WORD_LIST.read_text(encoding="utf-8").split() if w.isascii()]
    possessives = [w for w in words if w.endswith("'s")]
    return [w for w in words if not w.endswith("'s")] + possessives[:3000]


@cache
def prose() -> list[str]:
    """Running English as a list of words with their punctuation."""
    parts = list(pydoc_data.topics.topics.values())
    for path in library_sources():
        parts += re.findall(r'"""(.*?)"""', path.read_text(encoding="utf-8"), re.S)
    for path in sorted(QUOTATIONS.iterdir()):
        if not path.suffix and path.name not in ("art", "ascii-art"):
            parts += re.sub(".\b", "", path.read_text(encoding="utf-8")).split("\n%\n")
    text = " ".join(parts)
    known = set(string.printable)
    words = (w for w in text.split() if len(w) < 18 and set(w) <= known)
    return [w for w in words if not re.search(r"[*=~^`_-]{2}|^[.:>`*]", w)]


@cache
def code_lines() -> list[str]:
    """Lines of Python as they are, indentation included."""
    lines = []
    for path in library_sources():
        lines += [s.rstrip() for s in path.read_text(encoding="utf-8").splitlines()]
    return [s for s in lines if s.isascii() and "\t" not in s and len(s) < 80]


def library_sources() -> list[Path]:
    """The standard library's own modules, without packages."""
    return sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))


def price(rng: Rng) -> str:
    """An amount such as ``$12.50``, ``4,99 €`` or ``1,204.00``."""
    value = rng.randint(0, 10 ** rng.choice((3, 3, 4, 4, 5, 6)))
    amount = f"{value / 100:,.2f}" if rng.random() < 0.7 else f"{value / 100:.2f}"
    style = rng.random()
    if style < 0.45:
        return amount
    if style < 0.70:
        return "$" + amount
    if style < 0.86:
        return rng.choice("€£") + amount
    if style < 0.94:
        return amount.replace(",", "").replace(".", ",") + rng.choice((" €", "€"))
    return rng.choice("-+") + amount


def date(rng: Rng) -> str:
    """A calendar date in one of the usual spellings."""
    day, month, year = rng.randint(1, 31), rng.randint(1, 12), rng.randint(1950, 2035)
    mark = rng.choice("/-.")
    return rng.choice(
        (
            f"{day:02d}{mark}{month:02d}{mark}{year}",
            f"{year}-{month:02d}-{day:02d}",
            f"{month}/{day}/{year % 100:02d}",
            f"{rng.choice(MONTHS)} {day}, {year}",
            f"{day} {rng.choice(MONTHS)} {year}",
        )
    )


def clock(rng: Rng) -> str:
    """A time of day."""
    text = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
    return text + rng.choice(("", "", f":{rng.randint(0, 59):02d}", " AM", " PM", "pm"))


def person(rng: Rng) -> str:
    """A first and a last name."""
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def address(rng: Rng) -> str:
    """A street address."""
    return f"{rng.randint(1, 999)} {rng.choice(LAST)} {rng.choice(STREETS)}"


def email(rng: Rng) -> str:
    """An e-mail or web address of made-up words."""
    one, two = (re.sub("[^a-z]", "", rng.choice(dictionary()).lower()) for _ in range(2))
    end = rng.choice((".com", ".org", ".net", ".de", ".io"))
    return rng.choice(
        (
            f"{one}@{two}{end}",
            f"{one}.{two}@mail{end}",
            f"www.{one}{two}{end}",
            f"https://{one}{end}/{two}",
        )
    )


def figure(rng: Rng) -> str:
    """A number, code or measure."""
    kind = rng.randrange(7)
    if kind == 0:
        return str(rng.randint(0, 10 ** rng.randint(1, 8)))
    if kind == 1:
        unit = rng.choice(("%", "°", "°C", " kg", " mm", "x", " pcs", "."))
        return f"{rng.randint(0, 100)}{unit}"
    if kind == 2:
        return f"+{rng.randint(1, 99)} {rng.randint(10, 999)} {rng.randint(1000, 9999999)}"
    if kind == 3:
        return f"{rng.randint(200, 999)}-{rng.randint(100, 999)}-{rng.randint(1000, 9999)}"
    if kind == 4:
        alphabet = string.ascii_uppercase + string.digits
        return "".join(rng.choice(alphabet) for _ in range(rng.randint(3, 9)))
    if kind == 5:
        return f"#{rng.randint(1, 99999)}"
    return f"{rng.uniform(0, 1000):.{rng.randint(1, 4)}f}"


def noise(rng: Rng) -> str:
    """Characters in no order, so that no character is only known by its neighbours."""
    return "".join(rng.choice(ASCII) for _ in range(rng.randint(1, 8)))


def word(rng: Rng) -> str:
    """One word or figure with the punctuation and capitals of print."""
    kind = rng.random()
    if kind < 0.62:
        text = rng.choice(dictionary())
    elif kind < 0.90:
        text = rng.choice((figure, figure, price, date, clock, email))(rng)
    else:
        text = noise(rng)
    case = rng.random()
    if case < 0.10:
        text = text.upper()
    elif case < 0.22:
        text = text[:1].upper() + text[1:]
    frame = rng.random()
    if frame < 0.12:
        text += rng.choice(",.,.:;!?")
    elif frame < 0.17:
        opening, closing = rng.choice(('""', "()", "[]", "''", "<>", "{}", "“”", "“”"))
        text = opening + text + closing
    elif frame < 0.175:
        text = "–"
    return text


def accented(rng: Rng, text: str, share: float) -> str:
    """Replaces letters by Latin-1 relatives, each with probability ``share``."""
    return "".join(
        rng.choice(ACCENTS[c]) if c in ACCENTS and rng.random() < share else c for c in text
    )


def typographic(text: str) -> str:
    """Straight double quotes as a pair of curly ones, a double hyphen as a dash."""
    return re.sub(r'"([^"]*)"', r"“\1”", text).replace("--", "–").replace(" - ", " – ")


def sentences(rng: Rng, n: int) -> list[str]:
    """A run of ``n`` words of real prose."""
    start = rng.randrange(len(prose()) - n)
    run = prose()[start : start + n]
    return typographic(" ".join(run)).split() if rng.random() < 0.3 else run


def words(rng: Rng, n: int) -> list[str]:
    """A run of ``n`` words: real prose, or as often a soup of words and figures.

    In some soups the same few words come again and again, so that the place on the page tells
    which comes next, not the word before.
    """
    run = sentences(rng, n) if rng.random() < 0.45 else [word(rng) for _ in range(n)]
    if rng.random() < 0.2:
        few = run[: max(2, n // 4)]
        run = [rng.choice(few) for _ in run]
    if rng.random() < 0.15:
        share = rng.choice((0.05, 0.15, 0.3))
        run = [accented(rng, w, share) for w in run]
    return run


def phrases(rng: Rng) -> list[list[str]]:
    """Pieces of text of one to five words for a page on which they come again and again."""
    stock = words(rng, rng.randint(8, 40))
    starts = [rng.randrange(len(stock)) for _ in range(rng.randint(4, 20))]
    return [stock[start : start + rng.randint(1, 5)] for start in starts]


def recurring(rng: Rng, n: int, pieces: list[list[str]]) -> list[str]:
    """At least ``n`` words of such pieces."""
    run: list[str] = []
    while len(run) < n:
        run += rng.choice(pieces)
    return run
