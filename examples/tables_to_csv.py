"""Every table of a document to a CSV file of its own.

python examples/tables_to_csv.py report.pdf -o tables
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from crispvl import CrispOCR
from crispvl.results.tables import Table, to_csv


def tables(ocr: CrispOCR, file: str) -> Iterator[tuple[str, Table]]:
    """Yields each table with a name made of its page and its number there."""
    for page in ocr.recognize(file, task="table").pages:
        for i, table in enumerate(page.tables, 1):
            yield f"page{page.number}_table{i}", table


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes a document's tables as CSV.")
    parser.add_argument("file", help="image or PDF file")
    parser.add_argument("-o", "--output", type=Path, default=Path("tables"), help="folder")
    parser.add_argument("-m", "--model", help="GGUF file (default: the bundled model)")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with CrispOCR(options.model) as ocr:
        for name, table in tables(ocr, options.file):
            path = options.output / f"{name}.csv"
            path.write_text(to_csv([table]), encoding="utf-8")
            print(f"{path}: {len(table)} rows of {len(table[0])}")


if __name__ == "__main__":
    main()
