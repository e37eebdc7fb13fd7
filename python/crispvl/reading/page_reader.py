"""Reading one page of a document: loaded, judged, and given to a reader that suits it."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from PIL import Image

from crispvl.engine.handle import Handle
from crispvl.engine.steps import Encoded
from crispvl.events import Event, LineRead, LinesFound, TextRead, TilesEncoded
from crispvl.inputs.damage import DAMAGED
from crispvl.inputs.images import check_readable
from crispvl.inputs.ink import is_blank
from crispvl.inputs.sources import PageSource
from crispvl.options import Layout
from crispvl.prompts.tasks import TASKS, question
from crispvl.reading.block_reader import BlockReader
from crispvl.reading.layout_choice import LayoutChoice, layout_for
from crispvl.reading.line_reader import LineEvent, LineReader
from crispvl.reading.page_window import ReadingSteps
from crispvl.reading.requests import PageRequest, ReadingContext, ReadRequest
from crispvl.reading.whole_page_reader import WholePageReader
from crispvl.results.lines import Line
from crispvl.results.page import Page

if TYPE_CHECKING:
    from crispvl._core import CancelToken

PageSteps: TypeAlias = ReadingSteps[Event]
"""The reading of a page: the requests it waits for, and what happens."""

Reader: TypeAlias = WholePageReader | LineReader | BlockReader


class PageReader:
    """Reads one page.

    Args:
        context: Reads.
        request: What is asked.
        layout: How the page is shown to the model; ``auto`` leaves it to the page.
        source: Of the page; it is loaded by the first step of the reading.
        cancel: Stops within one layer of encoding or one token.
    """

    def __init__(
        self,
        context: ReadingContext,
        request: ReadRequest,
        layout: Layout,
        source: PageSource,
        cancel: CancelToken | None,
    ) -> None:
        asked = question(request.options.task, request.prompt, context.model.config.chat)
        self._request = PageRequest(context, asked, request.options, cancel)
        reads = request.prompt is None and TASKS[request.options.task].reads
        self._skips_blank = request.options.skip_blank and reads
        self._layout = layout
        self._source = source
        self._known = Page(number=source.number, name=source.name)
        self._is_blank: bool | None = None  # until somebody asks
        self._image_ms = 0.0
        self._reader: Reader | None = None

    @property
    def page(self) -> Page:
        """What there is so far."""
        if self._reader is None:
            timings = replace(self._known.timings, image_ms=self._image_ms)
            return replace(self._known, timings=timings)
        return self._reader.updated(self._known, self._image_ms)

    def fail(self, error: Exception) -> None:
        """Keeps what ended the reading before its time."""
        self._know(error=error)

    def read(self) -> PageSteps:
        """Yields what happens to the page, and meanwhile what is waited for.

        Raises:
            Cancelled: `page` is what there is.
            ImageError: It is damaged, or too small or thin to hold text.
            ContextOverflowError: The page and the prompt do not fit the model's context.
        """
        started = time.perf_counter()
        image = self._source.load()
        self._know(width_px=image.width, height_px=image.height, damaged=DAMAGED in image.info)
        check_readable(image, self._source.name)
        # Where lines are looked for, that tells whether there are any, and costs less.
        if self._skips_blank and self._layout != "lines" and self._has_no_ink(image):
            self._know(blank=True)
            return
        self._request.context.announce()
        self._reader = reader = self._reader_for(image)
        self._image_ms = 1000 * (time.perf_counter() - started)
        steps: Generator[Handle[Any] | LineEvent, None, None] = reader.read(image)
        with closing(steps):
            for item in steps:
                yield item if isinstance(item, Handle) else self._event(item, reader.n_tokens)
        if _wrote_nothing(reader):
            is_blank_page = self._has_no_ink(image)
            self._know(has_unread_ink=not is_blank_page)
            if isinstance(reader, LineReader):
                self._know(blank=self._skips_blank and is_blank_page)

    def _reader_for(self, image: Image.Image) -> Reader:
        request, choice = self._request, LayoutChoice(self._layout)
        if self._layout == "auto":
            choice = layout_for(image, request.context.model, request.options, request.cancel)
        if choice.layout == "lines":
            return LineReader(request)
        if choice.layout == "blocks":
            return BlockReader(request, choice.found)
        return WholePageReader(request)

    def _event(self, item: LineEvent, n_tokens: int) -> Event:
        number = self._source.number
        if isinstance(item, Encoded):
            return TilesEncoded(number=number, n_done=item.n_done, n_tiles=item.n_tiles)
        if isinstance(item, Line):
            return LineRead(number=number, line=item)
        if isinstance(item, str):
            return TextRead(number=number, text=item, n_tokens=n_tokens)
        return LinesFound(number=number, quads=item)

    def _has_no_ink(self, image: Image.Image) -> bool:
        if self._is_blank is None:
            self._is_blank = is_blank(image)
        return self._is_blank

    def _know(self, **facts: Any) -> None:
        self._known = replace(self._known, **facts)


def _wrote_nothing(reader: Reader) -> bool:
    """Whether an answer that came to its end is empty, where there was something to write."""
    written = reader.generation
    if written is None or written.finish_reason != "stop" or written.text.strip():
        return False
    return not (isinstance(reader, LineReader) and reader.lacks_tables)
