"""Documents as Markdown, HTML and JSON Lines. Plain text is ``str(document)``."""

from __future__ import annotations

import html
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
    """Returns the text, with a comment before each page that failed or was flagged."""
    pages = []
    for page in document.pages:
        comments = "".join(f"<!-- {_uncommented(line)} -->\n" for line in remarks(page))
        pages.append(comments + page.text)
    return PAGE_BREAK.join(pages)


def to_html(document: Document) -> str:
    """Returns a whole HTML file: the text of each page, doubtful words marked, and the remarks.

    What the model wrote is shown as text, never as markup of its own.
    """
    body = "\n".join(_section(page) for page in document.pages)
    title = html.escape(document.source)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n"
        f"{body}\n</body></html>\n"
    )


STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "pre{white-space:pre-wrap;font:inherit}.remark{color:#a33}"
    "mark{background:hsl(calc(var(--p)*1.2) 90% 80%);color:inherit}"
)
"""``--p`` of a marked word is its confidence in percent: red at 0, green at 100."""


def marked_words(page: Page, below: float) -> str:
    """Returns a page's text as HTML, with words of less confidence marked by it."""
    text, pieces, end = page.text, [], 0
    for word in page.words:
        if word.confidence < below:
            pieces.append(html.escape(text[end : word.start]))
            percent = round(100 * word.confidence)
            pieces.append(
                f'<mark style="--p:{percent}" title="{percent}%">{html.escape(word.text)}</mark>'
            )
            end = word.start + len(word.text)
    return "".join(pieces) + html.escape(text[end:])


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


def _section(page: Page) -> str:
    notes = "".join(f'<p class="remark">{html.escape(line)}</p>\n' for line in remarks(page))
    text = marked_words(page, below=0.5)
    return (
        f'<section id="page-{page.number}">\n<h2>Page {page.number}</h2>\n{notes}'
        f"<pre>{text}</pre>\n</section>"
    )


def _uncommented(text: str) -> str:
    """Returns a text that cannot end the comment it is put in."""
    return re.sub(r"-(?=-|>|$)", "- ", " ".join(text.split()))
