"""PDF documents like those of the tests: the examples' pages, each cut and numbered differently."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests" / "python"))
import pdf_files  # noqa: E402

PAGES_PER_DOCUMENT = 10
_MARGIN_PX = 48


def make_documents(folder: Path, n_pages: int) -> None:
    """Writes ``single.pdf`` of one page and as many documents of ten as make ``n_pages``."""
    folder.mkdir(parents=True)
    (folder / "single.pdf").write_bytes(pdf_files.pdf([page(0)]))
    for start in range(1, n_pages, PAGES_PER_DOCUMENT):
        numbers = range(start, min(start + PAGES_PER_DOCUMENT, n_pages))
        name = f"{start // PAGES_PER_DOCUMENT + 1:04d}.pdf"
        (folder / name).write_bytes(pdf_files.pdf([page(number) for number in numbers]))


def page(number: int) -> Image.Image:
    """An example's page with a number above, cut off somewhere below."""
    names = ("receipt.png", "paragraph.png", "code.png")
    example = Image.open(ROOT / "examples" / names[number % len(names)]).convert("L")
    tenths = 4 + number * 7 % 7  # of its height
    shown = example.crop((0, 0, example.width, example.height * tenths // 10))
    made = Image.new("L", (shown.width, shown.height + _MARGIN_PX), 255)
    made.paste(shown, (0, _MARGIN_PX))
    font = ImageFont.load_default(size=24)
    ImageDraw.Draw(made).text((12, 8), f"Page {number}", fill=0, font=font)
    return made
