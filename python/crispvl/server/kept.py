"""Documents that were read, kept for a while, so that they can be had in further formats."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

from crispvl.results.document import Document
from crispvl.server.uploads import Upload
from crispvl.server.wire.ocr import OcrFields

MAX_BYTES = 256 << 20
MAX_AGE_S = 1800.0

BYTES_PER_TOKEN = 500
"""Of what was read: its tokens, words and lines."""

BYTES_PER_PAGE = 2048
BYTES_PER_DOCUMENT = 4096
"""Even of an empty one."""


@dataclass(frozen=True)
class KeptDocument:
    """A document that was read, what it was read from, and since when it is kept.

    Attributes:
        n_bytes: About as much memory as it takes.
    """

    document: Document
    upload: Upload
    kept_at: float
    n_bytes: int


class KeptDocuments:
    """Documents by an id that nobody can guess; the oldest go first.

    Args:
        max_bytes: Of all.
        max_age_s: Of one.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, max_age_s: float = MAX_AGE_S) -> None:
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._kept: OrderedDict[str, KeptDocument] = OrderedDict()
        self._n_bytes = 0

    def keep(self, document: Document, upload: Upload) -> str:
        """Takes a document, and returns its id."""
        name = secrets.token_urlsafe(18)
        n_bytes = _n_bytes(document, upload)
        # Of the fields, whose texts know no bounds, a searchable PDF needs the password.
        fields = OcrFields.model_validate({"password": upload.fields.password})
        upload = replace(upload, fields=fields)
        self._kept[name] = KeptDocument(document, upload, time.monotonic(), n_bytes)
        self._n_bytes += n_bytes
        self._forget()
        return name

    def find(self, name: str) -> KeptDocument | None:
        self._forget()
        return self._kept.get(name)

    def _forget(self) -> None:
        oldest = time.monotonic() - self._max_age_s
        while self._kept:
            first = next(iter(self._kept.values()))
            if first.kept_at >= oldest and self._n_bytes <= self._max_bytes:
                return
            self._n_bytes -= first.n_bytes
            self._kept.popitem(last=False)


def _n_bytes(document: Document, upload: Upload) -> int:
    generations = [page.generation for page in document.pages if page.generation]
    n_tokens = sum(len(generation.ids) for generation in generations)
    texts = upload.name, upload.fields.prompt or ""
    return (
        BYTES_PER_DOCUMENT
        + BYTES_PER_PAGE * len(document.pages)
        + BYTES_PER_TOKEN * n_tokens
        + len(upload.data)
        + sum(len(text.encode()) for text in texts)
    )
