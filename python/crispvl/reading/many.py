"""Reading many documents together, a result for each in order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from crispvl.engine.handle import Handle
from crispvl.engine.waiting import Until
from crispvl.errors import Cancelled, explained, kept
from crispvl.events import DocumentDone, Event
from crispvl.inputs.images import ImageLike, source_name
from crispvl.reading.document_reader import DocumentReader
from crispvl.reading.page_reader import PageSteps
from crispvl.reading.page_window import PageWindow, ReadingSteps
from crispvl.reading.requests import ReadingContext, ReadRequest
from crispvl.reading.stream_count import stream_count
from crispvl.results.document import Document

NumberedEvent: TypeAlias = tuple[int, Event | DocumentDone]
"""The number of a document, from 0, and what happened to it."""


class ManyReader:
    """Opens and reads documents as `events` runs, pages of different ones at the same time.

    Args:
        context: Reads.
        documents: Asked for the next one when there is room for its first page.
        request: How each is read.
        skip: Returns whether a page is left out, by the numbers of its document and its own.

    Attributes:
        tells_text: Whether events tell of text while it is written. Without, pages wait less often.
    """

    def __init__(
        self,
        context: ReadingContext,
        documents: Iterable[ImageLike],
        request: ReadRequest,
        skip: Callable[[int, int], bool] | None = None,
    ) -> None:
        self._context = context
        self._documents = documents
        self._request = request
        self._skip = skip
        self.tells_text = True
        self._open: dict[int, DocumentReader] = {}
        self._errors: dict[int, tuple[str, Exception]] = {}

    def events(self) -> Generator[NumberedEvent, None, None]:
        """Yields what happens, document after document, `DocumentDone` at the end of each.

        Raises:
            Cancelled: ``partial`` is the `Document` that was being read.
        """
        try:
            n_streams = stream_count(self._context.model, self._request.options)
            window = PageWindow(self._context.engine, self._pages(), n_streams, self._until)
            with closing(iter(window)) as events:
                for i_document, event in events:
                    if event is None:
                        yield i_document, DocumentDone(document=self._finish(i_document))
                        continue
                    self._open[i_document].tell(event)
                    yield i_document, event
        finally:
            for reader in self._open.values():
                reader.close()

    def _until(self) -> Until:
        return "event" if any(r.until == "event" for r in self._open.values()) else "state"

    def _pages(self) -> Iterator[ReadingSteps[tuple[int, Event | None]]]:
        for i_document, document in enumerate(self._documents):
            try:
                skip = None if self._skip is None else partial(self._skip, i_document)
                request = replace(self._request, skip=skip)
                self._open[i_document] = reader = DocumentReader(self._context, document, request)
                reader.tells_text = self.tells_text
            except Exception as error:  # whatever one item does must not lose the others
                name = source_name(document)
                self._errors[i_document] = name, kept(explained(error, name))
            else:
                for page in reader.pages():
                    yield self._guarded(i_document, page)
            yield _end(i_document)

    def _guarded(self, i_document: int, page: PageSteps) -> ReadingSteps[tuple[int, Event | None]]:
        try:
            for item in page:
                yield item if isinstance(item, Handle) else (i_document, item)
        except Cancelled:
            raise
        except Exception as error:
            self._errors[i_document] = self._open[i_document].document.source, kept(error)

    def _finish(self, i_document: int) -> Document:
        reader = self._open.pop(i_document, None)
        if i_document in self._errors:
            source, error = self._errors.pop(i_document)
            return Document(source=source, error=error)
        assert reader is not None
        return reader.document


def _end(i_document: int) -> ReadingSteps[tuple[int, Event | None]]:
    yield i_document, None
