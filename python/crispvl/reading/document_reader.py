"""Reading a document: page by page, as events, within its limits."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Literal

from crispvl.engine.waiting import Until
from crispvl.errors import Cancelled, explained, kept
from crispvl.events import Event, LineRead, LinesFound, PageDone, PageStarted, TilesEncoded
from crispvl.inputs.images import ImageLike
from crispvl.inputs.sources import PageSource, open_source
from crispvl.reading.layout_choice import chosen_layout
from crispvl.reading.page_reader import PageReader, PageSteps
from crispvl.reading.page_window import PageWindow
from crispvl.reading.requests import ReadingContext, ReadRequest
from crispvl.reading.settings import settings
from crispvl.reading.stream_count import stream_count
from crispvl.reading.time_limits import limited, shortest
from crispvl.results.document import Document


class DocumentReader:
    """Reads one document. It is opened at once; pages are loaded and read as `events` runs.

    Several pages are read together, which costs less than one after another. What happens to a page
    is reported when all pages before it are done; reading it may have ended by then.

    Args:
        context: Reads.
        document: Anything `crispvl.inputs.sources.open_source` takes.
        request: How it is read.

    Attributes:
        document: What there is so far, an unfinished page included.
        tells_text: Whether events tell of text while it is written. Without, pages wait less often.
    """

    def __init__(self, context: ReadingContext, document: ImageLike, request: ReadRequest) -> None:
        metadata, options = context.model.metadata, request.options
        self._context = context
        self._request = request
        self._layout = chosen_layout(metadata, options, request.prompt)
        self.tells_text = True
        self._settings = settings(options, request.prompt, metadata)
        self._source = open_source(document, options)
        try:
            pages = list(self._source.pages(options.pages))
        except ValueError:
            self._source.close()
            raise
        skip = request.skip
        self._pages = [page for page in pages if skip is None or not skip(page.number)]
        self._begun: list[PageReader] = []
        self._n_done = 0
        self._stopped: Literal["cancelled", "time_limit"] | None = (
            "cancelled" if self._pages else None  # until the last page is done
        )

    @property
    def document(self) -> Document:
        return Document(
            source=self._source.name,
            pages=tuple(reader.page for reader in self._begun),
            n_pages=len(self._pages),
            stopped=self._stopped,
            model=self._context.model.file,
            settings=self._settings,
        )

    def events(self) -> Generator[Event, None, None]:
        """Reads, several pages at a time, and yields what happens, page after page.

        Of a document with several pages, a page that fails holds its error and the next is read.

        Raises:
            Cancelled: ``partial`` is the `Document` so far.
            ImageError: The only page is damaged, or too small or thin to hold text.
            ContextOverflowError: The only page and the prompt do not fit the model's context.
        """
        n_streams = stream_count(self._context.model, self._request.options)
        window: PageWindow[Event] = PageWindow(
            self._context.engine, self.pages(), n_streams, lambda: self.until
        )
        with closing(iter(window)) as events:
            for event in events:
                self.tell(event)
                if not isinstance(event, TilesEncoded | LinesFound | LineRead):
                    yield event

    @property
    def until(self) -> Until:
        """What news of a page it has to go on for."""
        if self._layout != "page":
            return "state"  # lines are reported when they are whole
        request = self._request
        is_told = self.tells_text or request.on_event is not None or request.progress is not None
        return "event" if is_told else "state"

    def tell(self, event: Event) -> None:
        """Calls whoever asked for events."""
        if self._request.progress is not None and isinstance(event, TilesEncoded):
            self._request.progress(event.n_done, event.n_tiles)
        if self._request.on_event is not None:
            self._request.on_event(event)

    def close(self) -> None:
        self._source.close()

    def pages(self) -> Iterator[PageSteps]:
        """Yields the reading of each page, for a `crispvl.reading.page_window.PageWindow`.

        A page is loaded by the first step of its reading, which comes before the next page is
        asked for.
        """
        options, cancel = self._request.options, self._request.cancel
        end = None if options.time_limit is None else time.monotonic() + options.time_limit
        with self._source:
            for i_page, page in enumerate(self._pages):
                if cancel is not None and cancel.cancelled:
                    # Pages that are blank or broken never reach the core, which else looks at it.
                    raise Cancelled("[page] cancelled before it was read", partial=self.document)
                left_s = None if end is None else end - time.monotonic()
                if left_s is not None and left_s <= 0:
                    self._stopped = "time_limit"
                    return
                yield self._page(page, i_page, shortest(left_s, options.page_time_limit))

    def _page(self, source: PageSource, i_page: int, limit_s: float | None) -> PageSteps:
        yield PageStarted(
            number=source.number, name=source.name, i_page=i_page, n_pages=len(self._pages)
        )
        cancel = limited(self._request.cancel, limit_s)
        reader = PageReader(self._context, self._request, self._layout, source, cancel)
        self._begun.append(reader)
        yield from self._read_or_fail(reader, source.name)
        self._n_done += 1
        if self._n_done == len(self._pages):
            self._stopped = None
        yield PageDone(page=reader.page)
        if not self._request.keep_pages:
            self._begun.remove(reader)

    def _read_or_fail(self, reader: PageReader, name: str) -> PageSteps:
        try:
            yield from reader.read()
        except Cancelled as error:
            error.partial = self.document
            raise
        except Exception as error:  # whatever one page does must not lose the others
            reason = explained(error, name)
            if self._source.n_pages == 1:
                raise reason from reason.__cause__
            reader.fail(kept(reason))
