"""A folder of scans to PDFs that look like the scans and can be searched and copied from.

pip install 'crispvl[ocrmypdf]'
python examples/searchable_pdfs.py scans searchable
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from crispvl import CrispOCR, CrispVLError, Document
from crispvl.inputs.sources import expand


def convert(ocr: CrispOCR, folder: Path, target: Path) -> Iterator[tuple[Document, Path]]:
    """Writes a PDF per scan that is not there yet, and yields each once it is written."""
    target.mkdir(parents=True, exist_ok=True)
    wanted = {file: target / f"{Path(file).name}.pdf" for file in expand([str(folder)])}
    left = [file for file, pdf in wanted.items() if not pdf.exists()]
    for file, document in zip(left, ocr.recognize_many(left), strict=True):
        try:
            document.to_pdf(wanted[file])
        except CrispVLError as error:  # one bad scan does not stop the others
            print(error)
            continue
        yield document, wanted[file]


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes a folder of scans searchable.")
    parser.add_argument("folder", type=Path, help="images and PDF files")
    parser.add_argument("target", type=Path, help="folder of the new PDFs")
    parser.add_argument("-m", "--model", help="GGUF file (default: the bundled model)")
    options = parser.parse_args()
    with CrispOCR(options.model) as ocr:
        for document, pdf in convert(ocr, options.folder, options.target):
            n_words = len(document.text.split())
            print(f"{pdf}: {len(document.pages)} pages, {n_words} words, {document.confidence:.0%}")


if __name__ == "__main__":
    main()
