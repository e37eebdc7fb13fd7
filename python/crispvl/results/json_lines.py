"""Documents as JSON Lines: a record per page, complete in itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from crispvl.results.page import DocumentLike, describe_error


def page_records(document: DocumentLike) -> Iterator[dict[str, Any]]:
    """Yields a record per page, complete in itself; one for a document that could not be opened."""
    about = document_facts(document)
    if document.error is not None:
        yield {
            "source": document.source, "number": None, "text": "", "flags": [],
            "error": describe_error(document.error), **about,
        }  # fmt: skip
    for page in document.pages:
        yield {"source": document.source, **page.to_dict(), **about}


def document_facts(document: DocumentLike) -> dict[str, Any]:
    """Returns what all pages of a document have in common."""
    return {
        "model": document.model.to_dict() if document.model else None,
        "settings": dict(document.settings),
    }


def to_jsonl(document: DocumentLike) -> str:
    """Returns a line of JSON per page."""
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in page_records(document))
