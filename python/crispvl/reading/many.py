"""Reading many documents together, a result for each in order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import TypeAlias

from crispvl.engine.engine import Engine
from crispvl.engine.handle import Handle
from crispvl.engine.waiting import Until
from crispvl.errors import Cancelled, explained
from crispvl.events import DocumentDone, Event
from crispvl.inputs.images import ImageLike, source_name
from crispvl.reading.document_reader import DocumentReader, PageSteps
from crispvl.reading.page_window import PageWindow, ReadingSteps
from crispvl.results.document import Document

NumberedEvent: TypeAlias = tuple[int, Event | DocumentDone]
"""The number of a document, from 0, and what happened to it."""


class ManyReader:
    """Opens and reads documents as `events` runs, pages of different ones at the same time.

    Args:
        documents: Asked for the next one when there is room for its first page.
        open_reader: Makes the reader of a document from its number and itself.
        n_streams: Most pages that are read at the same time.
        engine: What the readers ask.

    Attributes:
        tells_text: Whether events tell of text while it is written. Without, pages wait less often.
    """

    def __init__(
        self,
        documents: Iterable[ImageLike],
        open_reader: Callable[[int, ImageLike], DocumentReader],
        n_streams: int,
        engine: Engine,
    ) -> None:
        self._documents = documents
        self._open_reader = open_reader
        self._n_streams = n_streams
        self._engine = engine
        self.tells_text = True
        self._open: dict[int, DocumentReader] = {}
        self._errors: dict[int, tuple[str, Exception]] = {}

    def events(self) -> Generator[NumberedEvent, None, None]:
        """Yields what happens, document after document, `DocumentDone` at the end of each.

        Raises:
            Cancelled: ``partial`` is the `Document` that was being read.
        """
        try:
            window = PageWindow(self._engine, self._pages(), self._n_streams, self._until)
            with closing(iter(window)) as told:
                for i_document, event in told:
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
                self._open[i_document] = reader = self._open_reader(i_document, document)
                reader.tells_text = self.tells_text
            except Exception as error:  # whatever one item does must not lose the others
                name = source_name(document)
                self._errors[i_document] = name, explained(error, name)
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
            self._errors[i_document] = self._open[i_document].document.source, error

    def _finish(self, i_document: int) -> Document:
        reader = self._open.pop(i_document, None)
        if i_document in self._errors:
            source, error = self._errors.pop(i_document)
            return Document(source=source, error=error)
        assert reader is not None
        return reader.document


def _end(i_document: int) -> ReadingSteps[tuple[int, Event | None]]:
    yield i_document, None
