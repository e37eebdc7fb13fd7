"""Memory while a document of many pages is read: it must not grow with them.

    python benchmarks/long_document.py --pages 1000 --plot docs/img/long_document.svg

Reads a PDF made for it with the bundled model, or with another, and draws the process's resident
memory and the pages that are done over time. Needs Linux, and matplotlib for the plot.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from crispvl import CrispOCR
from crispvl.events import PageDone
from PIL import Image, ImageDraw, ImageFont

STATUS = Path("/proc/self/status")
WORDS = ["Coffee", "Bagel", "Soup", "Cookie", "Bread", "Honey", "Apple", "Cheese", "Butter", "Tea"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("-m", "--model", help="GGUF file; else the bundled model")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--plot", type=Path, metavar="OUT.svg")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make is not None:
        make_book(args.make, args.pages)
        return
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder) / "book.pdf"
        # Another process makes it, so that its memory is not counted.
        subprocess.run(
            [sys.executable, __file__, "--make", str(book), "--pages", str(args.pages)], check=True
        )
        seconds, mebibytes = read(book, args.model, args.threads)
    early, late = mebibytes[min(20, len(mebibytes) - 1)], mebibytes[-1]
    print(
        f"{args.pages} pages in {seconds[-1]:.0f} s; resident memory after 20 pages "
        f"{early:.0f} MiB, at the end {late:.0f} MiB, at most {max(mebibytes):.0f} MiB"
    )
    if args.plot is not None:
        draw(args.plot, mebibytes)


def make_book(path: Path, n_pages: int) -> None:
    font = ImageFont.load_default(size=16)

    def page(number: int) -> Image.Image:
        image = Image.new("L", (220, 110), 255)
        words = f"{WORDS[number % 10]} {WORDS[number // 10 % 10]}"
        ImageDraw.Draw(image).text((12, 20), f"Page {number}\n{words}", 0, font, spacing=8)
        return image

    rest = (page(number) for number in range(2, n_pages + 1))
    page(1).save(path, save_all=True, append_images=rest, resolution=72)


def read(book: Path, model: str | None, threads: int | None) -> tuple[list[float], list[float]]:
    """Returns seconds since the start and resident MiB after each page."""
    seconds, mebibytes = [], []
    with CrispOCR(model, threads=threads) as ocr:
        started = time.monotonic()
        for event in ocr.stream(book, dpi=72, max_tokens=32, keep_pages=False).events():
            if isinstance(event, PageDone):
                seconds.append(time.monotonic() - started)
                mebibytes.append(resident_mebibytes())
    return seconds, mebibytes


def resident_mebibytes() -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024  # VmRSS is in KiB


def draw(path: Path, mebibytes: list[float]) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3), layout="constrained")
    axes.plot(range(1, len(mebibytes) + 1), mebibytes, linewidth=1)
    axes.set_ylim(0, 1.25 * max(mebibytes))
    axes.set_xlabel("pages read")
    axes.set_ylabel("resident memory, MiB")
    axes.set_title(f"{platform.machine()}, {platform.system()}, {date.today()}", fontsize="small")
    axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
