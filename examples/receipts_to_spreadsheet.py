"""Receipts to a spreadsheet: one row for each line that ends in a price.

python examples/receipts_to_spreadsheet.py examples -o receipts.csv
python examples/receipts_to_spreadsheet.py scans -o receipts.xlsx    (pip install openpyxl)
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from crispvl import CrispOCR
from crispvl.inputs.sources import expand

HEAD = ("receipt", "what", "price", "how sure")
PRICED = re.compile(r"^(?P<what>.*[^\W\d].*?) +\D?(?P<price>\d+[.,]\d\d)\D?$", re.MULTILINE)

Row = tuple[str, str, float, float]


def rows(ocr: CrispOCR, files: Iterable[str]) -> Iterator[Row]:
    """Yields receipt, what was bought, its price, and how sure the least sure word is (0 to 1)."""
    for document in ocr.recognize_many(files):
        if document.error is not None:
            print(document.error, file=sys.stderr)
        for page in document.pages:
            for found in PRICED.finditer(page.text):
                words = [w for w in page.words if found.start() <= w.start < found.end()]
                price = float(found["price"].replace(",", "."))
                sure = min(word.confidence for word in words)
                yield Path(document.source).name, found["what"], price, round(sure, 2)


def write(path: Path, table: Iterable[Row]) -> None:
    """Writes an Excel file where the name says so, else CSV."""
    if path.suffix == ".xlsx":
        from openpyxl import Workbook

        book = Workbook()
        for row in (HEAD, *table):
            book.active.append(row)
        book.save(path)
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows((HEAD, *table))


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the priced lines of receipts to a table.")
    parser.add_argument("files", nargs="+", help="images, PDF files or folders")
    parser.add_argument("-o", "--output", type=Path, default=Path("receipts.csv"))
    parser.add_argument("-m", "--model", help="GGUF file (default: the bundled model)")
    options = parser.parse_args()
    with CrispOCR(options.model) as ocr:
        table = list(rows(ocr, expand(options.files)))
    write(options.output, table)
    for source, what, price, sure in table:
        print(f"{source:<16}{what:<24}{price:>9.2f}{sure:>6.0%}")


if __name__ == "__main__":
    main()
