"""Documents as Markdown and JSON Lines. Plain text is ``str(document)``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from crispvl.results.document import PAGE_BREAK, Document, Page, describe_error


def remarks(page: Page) -> list[str]:
    """Returns in words what a reader of a page's text should know."""
    if page.error is not None:
        return [f"page {page.number} could not be read: {page.error}"]
    words = {
        "blank": "is blank",
        "empty": "has ink, of which nothing was read",
        "low_confidence": f"was read with little confidence ({page.confidence:.0%})",
        "repetition": "made the model repeat itself, which was taken back",
        "truncated": f"ends early ({page.finish_reason})",
    }
    return [f"page {page.number} {words[flag]}" for flag in page.flags]


def to_markdown(document: Document) -> str:
    """Returns the text, with a comment before each page that failed or was flagged.

    Pages that were read by lines are Markdown whatever the task was.
    """
    pages = []
    for page in document.pages:
        comments = "".join(f"<!-- {_uncommented(line)} -->\n" for line in remarks(page))
        pages.append(comments + (page.text if page.markdown is None else page.markdown))
    return PAGE_BREAK.join(pages)


def page_records(document: Document) -> Iterator[dict[str, Any]]:
    """Yields a record per page, complete in itself; one for a document that could not be opened."""
    about = document_facts(document)
    if document.error is not None:
        yield {
            "source": document.source, "number": None, "text": "", "flags": [],
            "error": describe_error(document.error), **about,
        }  # fmt: skip
    for page in document.pages:
        yield {"source": document.source, **page.to_dict(), **about}


def document_facts(document: Document) -> dict[str, Any]:
    """Returns what all pages of a document have in common."""
    return {
        "model": document.model.to_dict() if document.model else None,
        "settings": dict(document.settings),
    }


def to_jsonl(document: Document) -> str:
    """Returns a line of JSON per page."""
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in page_records(document))


def _uncommented(text: str) -> str:
    """Returns a text that cannot end the comment it is put in."""
    return re.sub(r"-(?=-|>|$)", "- ", " ".join(text.split()))
