"""Draws the sample page that the server's page offers to read.

    python docs/img/make_sample.py

The Debian packages fonts-noto-core and fonts-linuxlibertine must be installed; the bundled model's
training never sees these fonts. The page is A4 at 110 dpi.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples"))

from make_examples import font  # noqa: E402

SIZE_PX = 910, 1287
LEFT, RIGHT = 96, 814
INK, SOFT, ACCENT = "#20242a", "#5a6472", "#8a2d2d"

STORY = [
    "The museum keeps forty boats, the oldest of them built in 1868, and the",
    "tools of the people who sailed them. Most are still afloat, and on the first",
    "Sunday of each month two of them leave the harbour with guests aboard.",
    "Children under seven years travel free of charge.",
]
PRICES = [
    ("Adults", "12.50"),
    ("Students and seniors", "9.00"),
    ("Children, 7 to 17 years", "5.75"),
    ("Families of five", "28.00"),
]
HOURS = [
    ("April to September", "9:30 to 18:00"),
    ("October to March", "10:00 to 16:30"),
    ("Closed", "24 and 25 December"),
]
END = [
    "Groups of ten and more pay a fifth less, and are asked to write to us two",
    "weeks before their visit. The lift and all decks are open to wheelchairs.",
]


def main() -> None:
    image = Image.new("RGB", SIZE_PX, "#fdfdfb")
    draw = ImageDraw.Draw(image)
    book, bold = font("LinLibertine_R", 23), font("LinLibertine_RB", 44)
    draw.text((LEFT, 92), "The Harbour Museum", INK, bold)
    draw.text(
        (LEFT, 150), "Information for visitors, season 2026", SOFT, font("NotoSans-Regular", 20)
    )
    draw.line([(LEFT, 194), (RIGHT, 194)], ACCENT, 2)
    y = _paragraph(draw, 222, STORY, book)
    y = _table(draw, y + 34, "Admission", PRICES)
    y = _table(draw, y + 34, "Opening hours", HOURS)
    y = _paragraph(draw, y + 40, END, book)
    draw.text((LEFT, y + 40), "Anna Bergström, director", INK, font("LinLibertine_RI", 23))
    draw.text(
        (LEFT, 1180), "Quay 4, 20457 Hamburg    Telephone 040 555 0187", SOFT,
        font("NotoSans-Regular", 17),
    )  # fmt: skip
    image = image.quantize(32, dither=Image.Dither.NONE)
    image.save(ROOT / "python/crispvl/web/sample.png", optimize=True)


def _paragraph(
    draw: ImageDraw.ImageDraw, y: int, lines: list[str], face: ImageFont.FreeTypeFont
) -> int:
    for line in lines:
        draw.text((LEFT, y), line, INK, face)
        y += 36
    return y


def _table(draw: ImageDraw.ImageDraw, y: int, title: str, rows: list[tuple[str, str]]) -> int:
    draw.text((LEFT, y), title, INK, font("NotoSans-Bold", 24))
    y += 50
    plain = font("NotoSans-Regular", 20)
    for name, value in rows:
        draw.text((LEFT, y), name, INK, plain)
        draw.text((RIGHT, y), value, INK, plain, anchor="ra")
        draw.line([(LEFT, y + 36), (RIGHT, y + 36)], "#d6d8dc", 1)
        y += 46
    return y


if __name__ == "__main__":
    main()
