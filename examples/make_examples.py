"""Draws the sample images and writes their true texts beside them.

    python examples/make_examples.py

Fonts (Noto, Linux Libertine) and layouts are ones that the bundled model's training never sees.
The Debian packages fonts-noto-core, fonts-noto-mono and fonts-linuxlibertine must be installed.
Each picture but the table is a single tile of the model: its text is about 9 to 11 px of x-height
at tile scale.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
FONT_ROOT = Path("/usr/share/fonts")

RECEIPT = [
    ("2", "Coffee", "7.00"),
    ("1", "Bagel", "3.25"),
    ("1", "Soup", "5.40"),
    ("3", "Cookie", "4.50"),
]
CODE = [
    "def mean(xs):",
    "  n = len(xs)",
    "  return sum(xs) / n",
    "",
    "print(mean([2, 5]))",
    "# 3.5",
]
TITLE = "The Lighthouse"
PARAGRAPH = [
    "Every evening the old",
    "keeper climbed the",
    "stairs, lit the lamp",
    "and watched the ships",
    "come home. He never",
    "missed a night.",
]

TABLE = [
    ("Station", "Rain mm", "Sun h", "Wind"),
    ("Harbour", "61", "142", "west"),
    ("Old Mill", "48", "155", "south"),
    ("Hill Farm", "73", "128", "north"),
]


def font(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    """Loads an installed font by its file name without extension."""
    found = sorted(FONT_ROOT.rglob(f"{name}.[to]tf"))
    if not found:
        raise FileNotFoundError(f"[examples] expected the font {name}; not found under {FONT_ROOT}")
    return ImageFont.truetype(str(found[0]), size_px, layout_engine=ImageFont.Layout.BASIC)


def receipt() -> tuple[Image.Image, list[str]]:
    """A till receipt with leading quantities."""
    image = Image.new("RGB", (300, 316), "#fbfaf6")
    draw = ImageDraw.Draw(image)
    plain, bold = font("NotoSans-Regular", 25), font("NotoSans-Bold", 27)
    ink = "#222222"
    draw.text((150, 10), "CORNER CAFE", ink, bold, anchor="ma")
    draw.text((150, 48), "12 May 2026 10:42", ink, plain, anchor="ma")
    y = 92
    for count, item, price in RECEIPT:
        draw.text((20, y), count, ink, plain)
        draw.text((52, y), item, ink, plain)
        draw.text((280, y), price, ink, plain, anchor="ra")
        y += 34
    draw.line([(20, y + 8), (280, y + 8)], "#888888", 1)
    draw.text((20, y + 12), "TOTAL", ink, bold)
    draw.text((280, y + 12), "$20.15", ink, bold, anchor="ra")
    draw.text((150, y + 50), "Thank you!", ink, plain, anchor="ma")
    rows = [" ".join(row) for row in RECEIPT]
    return image, ["CORNER CAFE", "12 May 2026 10:42", *rows, "TOTAL $20.15", "Thank you!"]


def code() -> tuple[Image.Image, list[str]]:
    """A snippet in a dark editor; indentation is layout and not part of the truth."""
    image = Image.new("RGB", (316, 260), "#1e2430")
    draw = ImageDraw.Draw(image)
    mono = font("NotoSansMono-Regular", 24)
    for i, line in enumerate(CODE):
        color = "#9fb7d8" if line.startswith("#") else "#e8e8e8"
        draw.text((14, 14 + 39 * i), line, color, mono)
    return image, [line.strip() for line in CODE if line]


def paragraph() -> tuple[Image.Image, list[str]]:
    """A titled paragraph in a book face."""
    image = Image.new("RGB", (316, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.text((16, 12), TITLE, "#1a1a1a", font("LinLibertine_RB", 34))
    for i, line in enumerate(PARAGRAPH):
        draw.text((16, 64 + 38 * i), line, "#1a1a1a", font("LinLibertine_R", 31))
    return image, [TITLE, *PARAGRAPH]


def table() -> tuple[Image.Image, list[str]]:
    """A table with rules, of which the true text is CSV."""
    image = Image.new("RGB", (760, 300), "white")
    draw = ImageDraw.Draw(image)
    plain, bold = font("NotoSans-Regular", 28), font("NotoSans-Bold", 28)
    lefts, height = (20, 240, 420, 570, 740), 62
    for i, row in enumerate(TABLE):
        for left, cell in zip(lefts, row, strict=False):
            draw.text((left + 14, 36 + height * i), cell, "#111111", plain if i else bold)
    for i in range(len(TABLE) + 1):
        draw.line([(lefts[0], 24 + height * i), (lefts[-1], 24 + height * i)], "#333333", 2)
    for left in lefts:
        draw.line([(left, 24), (left, 24 + height * len(TABLE))], "#333333", 2)
    return image, [",".join(row) for row in TABLE]


def main() -> None:
    """Writes the pictures and their truths beside this file."""
    for draw, suffix in ((receipt, "txt"), (code, "txt"), (paragraph, "txt"), (table, "csv")):
        image, lines = draw()
        image.save(HERE / f"{draw.__name__}.png", optimize=True)
        (HERE / f"{draw.__name__}.{suffix}").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
