"""Scans as LangChain documents, and the place on the page that answers a question.

    pip install 'crispvl[langchain]'
    python examples/rag_loader.py scans --find "who kept the lighthouse"

An index of embeddings takes the same documents: ``vector_store.add_documents(documents)``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from crispvl.integrations.langchain import CrispVLLoader
from langchain_core.documents import Document


def best(documents: Sequence[Document], question: str) -> Document:
    """Returns the document that shares the most words with a question."""
    asked = words(question)
    return max(documents, key=lambda document: len(asked & words(document.page_content)))


def words(text: str) -> set[str]:
    """Returns a text's words in lower case."""
    return set(re.findall(r"\w+", text.lower()))


def main() -> None:
    parser = argparse.ArgumentParser(description="Finds where on scanned pages something is said.")
    parser.add_argument("files", nargs="+", help="images, PDF files or folders")
    parser.add_argument("--find", required=True, metavar="QUESTION")
    options = parser.parse_args()
    documents = CrispVLLoader(options.files, split="block").load()
    print(f"{len(documents)} blocks")
    found = best(documents, options.find)
    print(found.page_content)
    print("{source}, page {page}, {kind} at {box}".format(**found.metadata))


if __name__ == "__main__":
    main()
