"""``crispvl recognize``: the text of images and documents, as it is read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from crispvl.cli import DONE, SOME_FAILED, complain
from crispvl.cli.arguments import add_model_arguments, add_options, read_options
from crispvl.cli.output import SUFFIXES, names_in_folder, open_output, write_json
from crispvl.cli.progress import ProgressLine
from crispvl.document import PAGE_BREAK, Document, Page
from crispvl.errors import Cancelled, CrispVLError, DocumentError
from crispvl.events import PageDone, PageStarted, TextRead
from crispvl.formats import document_facts, page_records, remarks, to_html
from crispvl.images import ImageLike
from crispvl.ocr import CrispOCR
from crispvl.options import LoadOptions, ReadOptions
from crispvl.reading import settings
from crispvl.records import RecordFile
from crispvl.sources import expand

_TASKS = {"markdown": "markdown", "csv": "table"}
"""What is asked for where a format is given and no task."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="images, PDF files, folders or patterns such as 'scans/**/*.png'; - is standard input",
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--prompt", metavar="TEXT", help="what to ask of each page, instead of the usual prompt"
    )
    parser.add_argument(
        "--format",
        choices=sorted(SUFFIXES),
        default="text",
        help="text and markdown are written as they are read; html marks doubtful words; csv "
        "holds the tables; json (an object per document) and jsonl (a line per page) hold flags, "
        "confidence, tokens and timings too; pdf is the document with its text laid invisibly "
        "upon it (default: text)",
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, help="file, or folder with a file per document"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on where the output ends: jsonl page by page, a folder file by file",
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="with --resume: read failed pages again"
    )
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="show on standard error how far it is (default: where that is a terminal and the "
        "text goes elsewhere)",
    )
    add_options(parser, ReadOptions)


def run(args: argparse.Namespace) -> int:
    files = list(expand(args.files))
    _check(args, len(files))
    if "task" not in args and args.format in _TASKS:
        args.task = _TASKS[args.format]
    options = read_options(args, ReadOptions)
    load = read_options(args, LoadOptions)
    shown = args.progress
    if shown is None:
        elsewhere = args.output is not None or not sys.stdout.isatty()
        shown = elsewhere and sys.stderr.isatty()
    with (
        ProgressLine(len(files), shown) as line,
        CrispOCR(args.model, args.mmproj, **vars(load)) as ocr,
    ):
        reader = _Reader(ocr, options, args.prompt, line, show_name=len(files) > 1 and not shown)
        if args.output is None or not args.output.is_dir():
            reader.write(files, args.format, args.output, args.resume, args.retry_failed)
        else:
            paths = names_in_folder(args.output, files, SUFFIXES[args.format])
            for file, path in zip(files, paths, strict=True):
                if args.format == "jsonl" or not (args.resume and path.exists()):
                    reader.write([file], args.format, path, args.resume, args.retry_failed)
    return SOME_FAILED if reader.n_failed else DONE


def _check(args: argparse.Namespace, n_files: int) -> None:
    if args.retry_failed and not args.resume:
        raise ValueError("[--retry-failed] --resume is expected with it; found none; add it")
    into_folder = args.output is not None and args.output.is_dir()
    if args.resume and not into_folder and (args.format != "jsonl" or args.output is None):
        raise ValueError(
            "[--resume] an output whose records tell what was read is expected; found "
            f"{args.output or 'standard output'} as {args.format}; use --format jsonl with -o "
            "FILE, or -o FOLDER"
        )
    if args.format == "pdf" and not into_folder and (args.output is None or n_files > 1):
        raise ValueError(
            f"[--format pdf] -o OUT.pdf for one document, or -o FOLDER, is expected; found "
            f"{args.output or 'standard output'} for {n_files}; change it"
        )


class _Reader:
    """Reads files, reports what fails, and counts it."""

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
        self._n_opened = 0
        self.n_failed = 0

    def write(
        self, files: list[str], form: str, path: Path | None, resume: bool, retry: bool
    ) -> None:
        """Reads files into one output."""
        self._n_opened = 0
        if form == "pdf":
            assert path is not None  # _check saw to it
            self._write_pdf(files[0], path)
            return
        if form == "jsonl" and path is not None:
            with RecordFile(path, resume, retry) as records:
                self._continue(files, records)
            return
        # Without any text, a later --resume must find nothing that looks done.
        with open_output(path, keep=lambda: form == "json" or self._n_opened > 0) as stream:
            if form == "json":
                results = [self._read(file, keep=True).to_dict() for file in files]
                write_json(stream, results[0] if len(files) == 1 else results, indent=2)
            elif form == "jsonl":
                for file in files:
                    self._stream_records(file, stream)
            elif form in ("html", "csv"):
                for file in files:
                    document = self._read(file, keep=True)
                    stream.write(to_html(document) if form == "html" else document.to_csv())
            else:
                writer = _Writer(stream)
                for file in files:
                    self._read(file, on_text=writer.write)
                    writer.end_line()

    def _write_pdf(self, file: str, path: Path) -> None:
        source = sys.stdin.buffer.read() if file == "-" else file
        document = self._read(file, keep=True, source=source)
        if document.error is None:
            try:
                document.to_pdf(path, source, self._options.password)
            except DocumentError as error:
                complain(f"{file}: {error}")
                self.n_failed += 1

    def _facts(self) -> dict[str, Any]:
        """Returns what the records of all pages have in common."""
        model, chosen = self._ocr.model.file, settings(self._options, self._prompt)
        return document_facts(Document(source="", model=model, settings=chosen))

    def _stream_records(self, file: str, stream: IO[str]) -> None:
        facts = self._facts()

        def on_page(done: PageDone) -> None:
            write_json(stream, {"source": file, **done.page.to_dict(), **facts}, indent=None)

        document = self._read(file, on_page=on_page)
        if document.error is not None:
            for record in page_records(document):
                write_json(stream, record, indent=None)

    def _continue(self, files: list[str], records: RecordFile) -> None:
        """Reads what the records lack, and appends it page by page."""
        facts = self._facts()
        records.check_same(facts)
        self.n_failed += records.n_failed

        for file in files:
            if records.holds(file):
                continue

            def skip(number: int, source: str = file) -> bool:
                return records.holds(source, number)

            def on_page(done: PageDone, source: str = file) -> None:
                records.append({"source": source, **done.page.to_dict(), **facts})

            document = self._read(file, on_page=on_page, skip=skip)
            if document.error is not None:
                for record in page_records(document):
                    records.append(record)

    def _read(
        self,
        file: str,
        on_text: Callable[[str], None] = lambda text: None,
        on_page: Callable[[PageDone], None] = lambda page: None,
        skip: Callable[[int], bool] | None = None,
        keep: bool = False,
        source: ImageLike | None = None,
    ) -> Document:
        """Reads a file; the document holds its pages only where they are to be kept."""
        if self._show_name:
            complain(file)
        self._line.begin(file)
        try:
            stream = self._ocr.stream(
                source or (sys.stdin.buffer if file == "-" else file),
                self._prompt,
                options=self._options,
                on_event=self._line,
                skip=skip,
                keep_pages=keep,
            )
            n_done = 0
            for event in stream.events():
                if isinstance(event, TextRead):
                    on_text(event.text)
                elif isinstance(event, PageStarted) and event.i_page > 0:
                    on_text(PAGE_BREAK)
                elif isinstance(event, PageDone):
                    n_done += 1
                    on_page(event)
                    self._report(file, event.page)
        except (BrokenPipeError, Cancelled):
            raise
        except (CrispVLError, OSError, ValueError) as error:
            complain(str(error))
            self.n_failed += 1
            return Document(source=file, error=error)
        self._n_opened += 1
        document = stream.result
        if n_done < document.n_pages:
            complain(f"{file}: the time limit left {document.n_pages - n_done} pages unread")
        return document

    def _report(self, file: str, page: Page) -> None:
        self.n_failed += page.error is not None
        if page.finish_reason == "length":
            complain(f"{file}: the answer was cut off at {self._options.max_tokens} tokens")
        elif page.flags != ("blank",):
            for remark in remarks(page):
                complain(f"{file}: {remark}")


class _Writer:
    """Writes text at once, and a line break after a text that ends without one."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._within_line = False

    def write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
        self._within_line = not text.endswith("\n")

    def end_line(self) -> None:
        if self._within_line:
            self.write("\n")
