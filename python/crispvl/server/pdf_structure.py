"""A PDF taken apart by qpdf, as long as its tables and trees are in proportion.

They are looked at before anything goes through them: some kilobytes can name millions of objects,
and a tree whose branches share their twigs has more pages than anybody can count.
"""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Pdf

from crispvl.errors import CrispVLError, DocumentError, PasswordError

MAX_STREAM_BYTES = 64 << 20
"""Of a stream, unpacked."""

MAX_TABLE_BYTES = 8 << 20
"""Of a table of objects, unpacked; it has some seven bytes for each."""

MAX_OBJECTS = 500_000
"""Of a file."""

MAX_REPAIRED = 50_000
"""Objects of a file whose table is looked for if it is damaged; that takes long."""

MAX_UPDATES = 2_000
"""Of a file, each of which has a table."""

MAX_PAGES = 20_000
MAX_FIELDS = 10_000
"""Of a form; PDFium compares each with all others."""

_MAX_FILTERS = 4


def open_pdf(data: bytes, password: str | None) -> Pdf:
    """Returns a PDF that can be gone through in reasonable time.

    Raises:
        PasswordError: It is encrypted, and the password is missing or wrong.
        DocumentError: It is damaged, or holds too much of something.
    """
    n_objects = data.count(b"obj") - data.count(b"endobj")
    _hold(n_objects, MAX_OBJECTS, "objects")
    _hold(data.count(b"startxref"), MAX_UPDATES, "updates")
    _bound_qpdf(MAX_TABLE_BYTES)
    try:
        pdf = pikepdf.open(
            io.BytesIO(data),
            password=password or "",
            attempt_recovery=n_objects <= MAX_REPAIRED,
            inherit_page_attributes=False,  # would go through all pages
        )
        _hold(int(pdf.trailer.get("/Size", 0)), 2 * MAX_OBJECTS, "objects")
        _hold_tree(pdf.Root.get("/Pages"), "/Kids", MAX_PAGES, "pages")
        _hold_tree(pdf.Root.get("/AcroForm"), "/Fields", MAX_FIELDS, "form fields")
    except CrispVLError:
        raise
    except pikepdf.PasswordError as error:
        raise PasswordError(
            "[document] expected the document's password; found another or none; pass password"
        ) from error
    except (pikepdf.PdfError, AttributeError, TypeError, ValueError) as error:
        raise damaged() from error
    _bound_qpdf(MAX_STREAM_BYTES)
    return pdf


def damaged() -> DocumentError:
    """Returns the error for what qpdf cannot take apart."""
    return DocumentError(
        "[document] expected a complete PDF; found a damaged one; repair it, for instance with qpdf"
    )


def _hold_tree(root: Any, branches: str, most: int, what: str) -> None:
    """Holds the nodes of a tree to a number; a node counts as often as it is met."""
    ahead = [root.get(branches)] if isinstance(root, Dictionary) else []
    n_nodes = 0
    while ahead:
        kids = ahead.pop()
        if isinstance(kids, Array):
            n_nodes += len(kids)
            _hold(n_nodes, most, what)
            ahead += [kid.get("/Kids") for kid in kids if isinstance(kid, Dictionary)]


def _hold(found: int, most: int, what: str) -> None:
    if found > most:
        raise DocumentError(
            f"[document] expected a PDF of at most {most} {what}; found more; split it, or have it "
            "printed to a new file"
        )


def _bound_qpdf(max_bytes: int) -> None:
    """Bounds what qpdf unpacks at once, in this process."""
    with suppress(AttributeError):  # of Python 3.10's pikepdf; the process' own bound remains
        pikepdf.settings.set_qpdf_limits(
            flate_max_memory=max_bytes, max_stream_filters=_MAX_FILTERS
        )
