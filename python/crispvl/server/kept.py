"""Documents that were read, kept for a while, so that they can be had in further formats."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass

from crispvl.results.document import Document
from crispvl.server.uploads import Upload

MAX_BYTES = 256 << 20
MAX_AGE_S = 1800.0

BYTES_PER_TOKEN = 500
"""Of what was read: its tokens, words and lines."""


@dataclass(frozen=True)
class KeptDocument:
    """A document that was read, what it was read from, and since when it is kept."""

    document: Document
    upload: Upload
    kept_at: float

    @property
    def n_bytes(self) -> int:
        """About as much memory as it takes."""
        generations = [page.generation for page in self.document.pages if page.generation]
        n_tokens = sum(len(generation.ids) for generation in generations)
        return len(self.upload.data) + BYTES_PER_TOKEN * n_tokens


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

    def keep(self, document: Document, upload: Upload) -> str:
        """Takes a document, and returns its id."""
        name = secrets.token_urlsafe(18)
        self._kept[name] = KeptDocument(document, upload, time.monotonic())
        self._forget()
        return name

    def find(self, name: str) -> KeptDocument | None:
        self._forget()
        return self._kept.get(name)

    def _forget(self) -> None:
        oldest = time.monotonic() - self._max_age_s
        n_bytes = sum(kept.n_bytes for kept in self._kept.values())
        while self._kept:
            first = next(iter(self._kept.values()))
            if first.kept_at >= oldest and n_bytes <= self._max_bytes:
                return
            n_bytes -= first.n_bytes
            self._kept.popitem(last=False)
