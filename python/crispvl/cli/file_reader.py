"""Files in, their events to what is written; what fails is reported and counted."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from crispvl.cli import complain
from crispvl.cli.output_files import Outputs
from crispvl.cli.progress import ProgressLine
from crispvl.cli.sinks import NoSink, Sink
from crispvl.errors import CrispVLError, DocumentError
from crispvl.events import DocumentDone, Event, PageDone, PageStarted, TextRead
from crispvl.inputs.images import source_name
from crispvl.inputs.pipes import is_stream, read_bounded
from crispvl.options import ReadOptions
from crispvl.reading.ocr import CrispOCR
from crispvl.results.document import Document
from crispvl.results.markdown import remarks
from crispvl.results.page import PAGE_BREAK, Page

_SELF_EXPLAINING = (CrispVLError, OSError, ValueError)
"""Errors whose message says what it is about."""


class FileReader:
    """Reads files, reports what fails, and counts it.

    Args:
        ocr: Reads.
        options: Of the reading.
        prompt: What to ask of each page; None means the task's own prompt.
        line: Shows how far the reading is.
        show_name: Whether each file's name is reported when it is begun.

    Attributes:
        n_failed: Pages and documents that could not be read or written.
    """

    def __init__(
        self,
        ocr: CrispOCR,
        options: ReadOptions,
        prompt: str | None,
        line: ProgressLine,
        show_name: bool,
    ) -> None:
        self._ocr = ocr
        self._options = options
        self._prompt = prompt
        self._line = line
        self._show_name = show_name
        self.n_failed = 0

    def read(self, files: Sequence[str], outputs: Outputs) -> None:
        """Reads what the outputs lack, and hands it to them."""
        wanted: list[tuple[int, str, Sink]] = []

        def documents() -> Iterator[Any]:
            for i_file, file in enumerate(files):
                sink, name = outputs.sink(i_file), source_name(file)
                if sink is None:
                    continue
                if sink.holds(name):
                    outputs.n_held += 1
                    continue
                wanted.append((i_file, name, sink))
                sink.source = kept_input(file)
                yield sink.source

        def skip(i_document: int, number: int) -> bool:
            _, file, sink = wanted[i_document]
            return sink.holds(file, number)

        events = self._ocr.stream_many(
            documents(), self._prompt, options=self._options, skip=skip,
            keep_pages=outputs.keeps_pages,
        )  # fmt: skip
        n_begun = n_done = 0
        with closing(events):
            for i_document, event in events:
                i_file, file, sink = wanted[i_document]
                if i_document == n_begun:
                    n_begun, n_done = i_document + 1, 0
                    is_held = _holds_no_unread_page(event)
                    outputs.n_held += is_held
                    self._begin(file, self._show_name and not is_held)
                n_done += isinstance(event, PageDone)
                try:
                    if isinstance(event, DocumentDone):
                        self._end(file, event.document, sink, n_done)
                    else:
                        self._hand_over(file, event, sink)
                except OSError as error:
                    outputs.failed(i_file, error)
                    wanted[i_document] = i_file, file, NoSink()
                if isinstance(event, DocumentDone):
                    outputs.done(i_file)
        if outputs.n_held:
            complain(f"{outputs.n_held} of {len(files)} documents were done already")
        if outputs.n_failed_before:
            complain(f"{outputs.n_failed_before} failed before; --retry-failed reads them again")

    def _begin(self, file: str, show_name: bool) -> None:
        if show_name:
            complain(file)
        self._line.begin(file)

    def _hand_over(self, file: str, event: Event, sink: Sink) -> None:
        self._line(event)
        if isinstance(event, TextRead):
            sink.text(event.text)
        elif isinstance(event, PageStarted) and event.i_page > 0:
            sink.text(PAGE_BREAK)
        elif isinstance(event, PageDone):
            sink.page(file, event.page)
            self._report(file, event.page)

    def _end(self, file: str, document: Document, sink: Sink, n_done: int) -> None:
        error = document.error
        if error is not None:
            complain(str(error) if isinstance(error, _SELF_EXPLAINING) else f"{file}: {error!r}")
            self.n_failed += 1
            document = replace(document, source=file)
        else:
            sink.n_opened += 1
            if n_done < document.n_pages:
                left = document.n_pages - n_done
                complain(f"{file}: the time limit left {left} pages unread")
        try:
            sink.document(document)
        except DocumentError as failure:
            complain(f"{file}: {failure}")
            self.n_failed += 1

    def _report(self, file: str, page: Page) -> None:
        self.n_failed += page.error is not None
        if page.finish_reason == "length" and page.generation is not None:
            complain(f"{file}: the answer was cut off at {len(page.generation.ids)} tokens")
        elif page.flags != ("blank",):
            for remark in remarks(page):
                complain(f"{file}: {remark}")


def _holds_no_unread_page(first: Event | DocumentDone) -> bool:
    """Returns whether all pages of a document were read before, as its first event tells."""
    return (
        isinstance(first, DocumentDone)
        and first.document.error is None
        and first.document.n_pages == 0
    )


class KeptInput:
    """What can be read once only, such as a pipe: read when it is opened, and kept.

    Attributes:
        name: What it is called in messages and records.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._data: bytes | None = None

    def read(self) -> bytes:
        """Returns all of it, each time.

        Raises:
            DocumentError: It is more than a document.
        """
        if self._data is None:
            if self.name == "-":
                self._data = read_bounded(sys.stdin.buffer, self.name)
            else:
                with open(self.name, "rb") as file:
                    self._data = read_bounded(file, self.name)
        return self._data


def kept_input(file: str) -> Any:
    """Returns a file, or what keeps it where it can be read once only."""
    try:
        return KeptInput(file) if file == "-" or is_stream(Path(file)) else file
    except OSError:  # reported where it is opened
        return file
