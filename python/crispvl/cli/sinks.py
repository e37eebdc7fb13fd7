"""What becomes of what is read: a sink per format, fed with the documents in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from crispvl.cli import complain
from crispvl.cli.output import open_output, write_json
from crispvl.cli.records import RecordFile, tell_change
from crispvl.errors import DocumentError, explained
from crispvl.inputs.images import ImageLike
from crispvl.options import Task
from crispvl.results.document import Document
from crispvl.results.formats import FORMATS, Format
from crispvl.results.json_lines import page_records
from crispvl.results.outputs import concerns_all
from crispvl.results.page import PAGE_BREAK, Page

Write = Callable[[Sequence[Document]], str]

KEEP_PAGES = frozenset(
    name for name, form in FORMATS.items() if form.unit in ("document", "documents")
)
"""Formats whose sinks need the pages of a whole document at once."""


class Sink:
    """Takes text, pages and documents; a format overrides what it writes.

    Attributes:
        source: The document that was given to be read last.
        n_opened: Documents that could be opened.
        n_failed_before: Pages that failed in the run that is continued.
    """

    n_failed_before = 0

    def __init__(self) -> None:
        self.source: ImageLike = b""
        self.n_opened = 0

    def holds(self, source: str, number: int | None = None) -> bool:
        """Whether the run that is continued has read a page, or failed to open the document."""
        return False

    def text(self, text: str) -> None:
        """Takes text as it is written."""

    def page(self, source: str, page: Page) -> None:
        """Takes a page that is done."""

    def document(self, document: Document) -> None:
        """Takes a document that is done, after its pages."""

    def end(self) -> None:
        """Writes what is left, when all documents were taken."""


class NoSink(Sink):
    """Takes what cannot be written, and wants no more of it."""

    def holds(self, source: str, number: int | None = None) -> bool:
        return True


class TextSink(Sink):
    """Writes text at once, and a line break after a document that ends without one."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream
        self._within_line = False

    def text(self, text: str) -> None:
        self._put(text)

    def document(self, document: Document) -> None:
        if self._within_line:
            self._put("\n")

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
        self._within_line = not text.endswith("\n")


class MarkdownSink(TextSink):
    """Writes the Markdown of each page that is read as plain text, for other formats."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._n_pages = 0

    def text(self, text: str) -> None:
        """Waits for the page: its Markdown is known when all of it is."""

    def page(self, source: str, page: Page) -> None:
        self._put((PAGE_BREAK if self._n_pages else "") + page.marked_text)
        self._n_pages += 1

    def document(self, document: Document) -> None:
        super().document(document)
        self._n_pages = 0


class WholeSink(Sink):
    """Writes each document when it is done."""

    def __init__(self, stream: IO[str], write: Write) -> None:
        super().__init__()
        self._stream = stream
        self._write = write

    def document(self, document: Document) -> None:
        text = self._write([document])
        if not text and document.error is None:  # an empty file would say that all is well
            self.n_opened -= 1
            raise DocumentError(
                "[--format csv] expected a table in this document; found none; use another format "
                "for it"
            )
        self._stream.write(text)


class TogetherSink(Sink):
    """Writes all documents together."""

    def __init__(self, stream: IO[str], write: Write) -> None:
        super().__init__()
        self._stream = stream
        self._write = write
        self._documents: list[Document] = []

    def document(self, document: Document) -> None:
        self._documents.append(document)

    def end(self) -> None:
        self._stream.write(self._write(self._documents))


class SeveralSinks(Sink):
    """Hands on to several sinks what it is given; a page is done where all of them hold it."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self._source: ImageLike = b""
        self._n_opened = 0
        self.n_failed_before = sum(sink.n_failed_before for sink in sinks)

    @property
    def source(self) -> ImageLike:
        return self._source

    @source.setter
    def source(self, source: ImageLike) -> None:
        self._source = source
        for sink in self._sinks:
            sink.source = source

    @property
    def n_opened(self) -> int:
        return self._n_opened

    @n_opened.setter
    def n_opened(self, n_opened: int) -> None:
        self._n_opened = n_opened
        for sink in self._sinks:
            sink.n_opened = n_opened

    def holds(self, source: str, number: int | None = None) -> bool:
        return all(sink.holds(source, number) for sink in self._sinks)

    def text(self, text: str) -> None:
        for sink in self._sinks:
            sink.text(text)

    def page(self, source: str, page: Page) -> None:
        for sink in self._sinks:
            sink.page(source, page)

    def document(self, document: Document) -> None:
        failures = []
        for sink in self._sinks:
            try:
                sink.document(document)
            except DocumentError as failure:  # the other formats are to be written nevertheless
                failures.append(failure)
        if failures:
            raise failures[0]

    def end(self) -> None:
        for sink in self._sinks:
            sink.end()


class JsonSink(Sink):
    """Writes one JSON value: an object, or a list where there are several files."""

    def __init__(self, stream: IO[str], n_files: int) -> None:
        super().__init__()
        self._stream = stream
        self._n_files = n_files
        self._results: list[dict[str, Any]] = []

    def document(self, document: Document) -> None:
        self._results.append(document.to_dict())

    def end(self) -> None:
        value = self._results[0] if self._n_files == 1 else self._results
        write_json(self._stream, value, indent=2)


class PdfSink(Sink):
    """Writes a document with its text laid invisibly upon it.

    Raises:
        DocumentError: From `document`, where it cannot be written.
        OSError: From `document`, where no other can be written either.
    """

    def __init__(self, path: Path, password: str | None) -> None:
        super().__init__()
        self._path = path
        self._password = password

    def document(self, document: Document) -> None:
        if document.error is not None:
            return
        try:
            kept = document.to_pdf(self._path, self.source, self._password)
        except (OSError, ValueError, MemoryError) as error:
            if isinstance(error, OSError) and concerns_all(error):
                raise
            raise DocumentError(str(explained(error, document.source))) from error
        if kept:
            numbers = ", ".join(map(str, kept))
            complain(f"{document.source}: text is there already and is kept, on page {numbers}")


class RecordSink(Sink):
    """Writes a line of JSON per page, to a file that a later run can continue or to a stream."""

    def __init__(
        self, out: RecordFile | IO[str], facts: Mapping[str, Any], versions: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._out = out
        self._facts = facts
        self._versions = versions
        if isinstance(out, RecordFile):
            out.check_same(facts)
            self.n_failed_before = out.n_failed(versions)
            for source in sorted(out.changed):
                tell_change(source)

    def holds(self, source: str, number: int | None = None) -> bool:
        return isinstance(self._out, RecordFile) and self._out.holds(source, number)

    def page(self, source: str, page: Page) -> None:
        self._write(source, {"source": source, **page.to_dict(), **self._facts})

    def document(self, document: Document) -> None:
        if document.error is not None:
            for record in page_records(document):
                self._write(document.source, record)

    def _write(self, source: str, record: dict[str, Any]) -> None:
        record["version"] = self._versions[source]
        if isinstance(self._out, RecordFile):
            self._out.append(record)
        else:
            write_json(self._out, record, indent=None)


@contextmanager
def open_sink(
    form: str,
    path: Path | None,
    sources: Sequence[tuple[str, str]],
    facts: Mapping[str, Any],
    resume: bool,
    retry: bool,
    password: str | None,
) -> Iterator[Sink]:
    """Opens the sink of a format; None is standard output.

    Args:
        form: Key of `crispvl.results.formats.FORMATS`.
        path: Of the file, which appears when it is complete; records appear one by one.
        sources: The names and versions of the documents that it will take.
        facts: What the records of all pages have in common.
        resume: Continue the records that are there.
        retry: Forget those among them that failed.
        password: Of encrypted documents.
    """
    if form == "pdf":
        assert path is not None
        yield PdfSink(path, password)
        return
    if form == "jsonl" and path is not None:
        with RecordFile(path, resume, retry, dict(sources)) as records:
            yield RecordSink(records, facts, dict(sources))
        return
    sink: Sink
    # Without any text, a later --resume must find nothing that looks done.
    with open_output(path, keep=lambda: form == "json" or sink.n_opened > 0) as stream:
        if form == "json":
            sink = JsonSink(stream, len(sources))
        elif form == "jsonl":
            sink = RecordSink(stream, facts, dict(sources))
        else:
            sink = _text_sink(FORMATS[form], stream, facts["settings"]["task"])
        yield sink


def _text_sink(form: Format, stream: IO[str], task: Task) -> Sink:
    if form.write is None or form.unit == "text":
        is_marked = form.task == "markdown" and task == "text"
        return MarkdownSink(stream) if is_marked else TextSink(stream)
    kind = WholeSink if form.unit == "document" else TogetherSink
    return kind(stream, form.write)
