"""Invoices to objects of a schema: JSON Lines, checked as they come.

    pip install 'crispvl[extract,hub]'
    python examples/invoices_by_schema.py invoices -m ggml-org/InternVL3-2B-Instruct-GGUF

The answer always follows the schema; whether it is true depends on the model. The bundled model
reads text without understanding it, so use an InternVL model of 2B or more.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

from crispvl import CrispOCR, ExtractionError
from crispvl.inputs.sources import expand
from pydantic import BaseModel, Field

PROMPT = "Read this invoice."


class Item(BaseModel):
    """A line of the invoice."""

    description: str = Field(max_length=80)
    quantity: float
    price: float


class Invoice(BaseModel):
    """What is wanted of an invoice."""

    number: str = Field(max_length=30)
    seller: str = Field(max_length=80)
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    items: list[Item] = Field(max_length=40)
    total: float


def invoices(
    ocr: CrispOCR, files: Iterable[str], max_tokens: int = 1024
) -> Iterator[tuple[str, Invoice | ExtractionError]]:
    """Yields each file with its invoice, or with what went wrong."""
    for file in files:
        try:
            yield file, ocr.extract(file, Invoice, PROMPT, max_tokens=max_tokens)
        except ExtractionError as error:  # the answer is longer than max_tokens
            yield file, error


def main() -> None:
    parser = argparse.ArgumentParser(description="Reads invoices into JSON Lines.")
    parser.add_argument("files", nargs="+", help="images, PDF files or folders")
    parser.add_argument("-m", "--model", help="GGUF file, or a name on the hub")
    parser.add_argument("--max-tokens", type=int, default=1024)
    options = parser.parse_args()
    with CrispOCR(options.model) as ocr:
        for file, found in invoices(ocr, expand(options.files), options.max_tokens):
            if isinstance(found, ExtractionError):
                print(f"{file}: {found}")
                continue
            print(found.model_dump_json())
            difference = sum(item.quantity * item.price for item in found.items) - found.total
            if abs(difference) > 0.01:
                print(f"{file}: the items do not add up to the total")


if __name__ == "__main__":
    main()
