"""Documents as Markdown, and in words what a reader of their text should know."""

from __future__ import annotations

import re

from crispvl.results.page import PAGE_BREAK, DocumentLike, Page


def remarks(page: Page) -> list[str]:
    """Returns in words what a reader of a page's text should know."""
    if page.error is not None:
        return [f"page {page.number} could not be read: {page.error}"]
    words = {
        "blank": "is blank",
        "empty": "has ink, but nothing was read",
        "low_confidence": f"was read with little confidence ({page.confidence:.0%})",
        "repetition": "made the model repeat itself, which was taken back",
        "damaged": "is of damaged data; what could be decoded of it was read",
        "truncated": f"ends early ({page.finish_reason})",
    }
    return [f"page {page.number} {words[flag]}" for flag in page.flags]


def to_markdown(document: DocumentLike) -> str:
    """Returns the text, with a comment before each page that failed or was flagged.

    Pages that were read by lines are Markdown whatever the task was.
    """
    pages = []
    for page in document.pages:
        comments = "".join(f"<!-- {_uncommented(line)} -->\n" for line in remarks(page))
        pages.append(comments + page.marked_text)
    return PAGE_BREAK.join(pages)


def _uncommented(text: str) -> str:
    """Returns a text that cannot end the comment it is put in."""
    return re.sub(r"-(?=-|>|$)", "- ", " ".join(text.split()))
