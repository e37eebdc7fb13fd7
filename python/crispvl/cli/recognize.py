"""``crispvl recognize``: the text of images and documents, as it is read."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from crispvl.cli import DONE, SOME_FAILED, complain
from crispvl.cli.arguments import add_model_arguments, add_options, read_options, readable
from crispvl.cli.output import SUFFIXES, names_in_folder
from crispvl.cli.progress import ProgressLine
from crispvl.cli.sinks import KEEP_PAGES, Sink, open_sink
from crispvl.errors import CrispVLError, DocumentError
from crispvl.events import DocumentDone, Event, PageDone, PageStarted, TextRead
from crispvl.inputs.images import source_name
from crispvl.inputs.sources import expand
from crispvl.inputs.urls import is_url
from crispvl.inputs.utf8 import check_encodable
from crispvl.options import LoadOptions, ReadOptions
from crispvl.reading.document_reader import settings
from crispvl.reading.ocr import CrispOCR
from crispvl.results.document import PAGE_BREAK, Document, Page
from crispvl.results.formats import document_facts, remarks
from crispvl.results.outputs import check_outputs

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
        "--prompt",
        metavar="TEXT",
        type=readable(check_encodable),
        help="what to ask of each page, instead of the usual prompt",
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
        "-o",
        "--output",
        metavar="OUT",
        help="file, or folder with a file per document; a name that ends in / is a folder, made "
        "if it is not there",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on where the output ends: jsonl page by page, a folder file by file, by name",
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="with --resume and jsonl: read failed pages again",
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
    into_folder = args.output is not None and _is_folder(args.output)
    if into_folder:
        files = list(dict.fromkeys(files))  # each has one file there
    _check(args, files, into_folder)
    outputs = _outputs(args, files, into_folder)
    if "task" not in args and args.format in _TASKS:
        args.task = _TASKS[args.format]
    options = read_options(args, ReadOptions)
    load = read_options(args, LoadOptions)
    shown = args.progress
    if shown is None:
        elsewhere = args.output is not None or not sys.stdout.isatty()
        shown = elsewhere and sys.stderr.isatty()
    with CrispOCR(args.model, args.mmproj, **vars(load)) as ocr:
        chosen = settings(options, args.prompt)
        facts = document_facts(Document(source="", model=ocr.model.file, settings=chosen))
        open_outputs = _FolderOutputs if into_folder else _OneOutput
        with (
            ProgressLine(len(files), shown) as line,
            open_outputs(files, outputs, args, facts) as sinks,
        ):
            reader = _Reader(ocr, options, args.prompt, line, len(files) > 1 and not shown)
            reader.read(files, sinks)
    return SOME_FAILED if reader.n_failed + sinks.n_failed_before else DONE


def _is_folder(name: str) -> bool:
    return os.path.isdir(name) or name.endswith(("/", os.sep))


def _check(args: argparse.Namespace, files: Sequence[str], into_folder: bool) -> None:
    if args.retry_failed and not args.resume:
        raise ValueError("[--retry-failed] --resume is expected with it; found none; add it")
    if args.retry_failed and args.format != "jsonl":
        raise ValueError(
            "[--retry-failed] records that tell which pages failed are expected; found the format "
            f"{args.format}; use --format jsonl"
        )
    if args.resume and "-" in files:
        raise ValueError(
            "[--resume] files, which have names to be known by, are expected; found -, standard "
            "input; leave one of the two out"
        )
    if args.resume and not into_folder and (args.format != "jsonl" or args.output is None):
        raise ValueError(
            "[--resume] an output whose records tell what was read is expected; found "
            f"{args.output or 'standard output'} as {args.format}; use --format jsonl with -o "
            "FILE, or -o FOLDER"
        )
    fits = len(files) == 1 and (args.format == "html" or args.output is not None)
    if args.format in ("html", "pdf") and not into_folder and not fits:
        raise ValueError(
            f"[--format {args.format}] -o OUT.{args.format} for one document, or -o FOLDER/, is "
            f"expected; found {args.output or 'standard output'} for {len(files)}; change it"
        )
    address = next(filter(is_url, files), None)
    if args.format == "pdf" and address is not None:
        raise ValueError(
            "[--format pdf] files, on whose pages the text is laid, are expected; found a web "
            f"address, {address}; download it first"
        )


def _outputs(
    args: argparse.Namespace, files: Sequence[str], into_folder: bool
) -> Sequence[Path | None]:
    """Returns the file for each document in a folder, which is made, or the one for all."""
    if args.output is None:
        return [None]
    output = Path(args.output)
    paths = [output]
    if into_folder:
        if output.exists() and not output.is_dir():
            raise ValueError(
                f"[output] a folder is expected; found the file '{output}'; choose another name"
            )
        output.mkdir(parents=True, exist_ok=True)
        paths = names_in_folder(output, files, SUFFIXES[args.format])
    check_outputs(paths, [*files, args.model, args.mmproj], regular=args.resume)
    return paths


class _Outputs(ExitStack):
    """Opens sinks when they are needed, and closes them at the end at the latest.

    Attributes:
        keeps_pages: Whether the format needs the pages of a whole document at once.
        n_failed_before: Pages that failed in the run that is continued.
    """

    def __init__(
        self,
        files: Sequence[str],
        paths: Sequence[Path | None],
        args: argparse.Namespace,
        facts: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self._files = files
        self._paths = paths
        self._args = args
        self._facts = facts
        self.keeps_pages = args.format in KEEP_PAGES
        self.n_failed_before = 0

    def sink(self, i_file: int) -> Sink | None:
        """Returns where a file's text goes; None where it is there already."""
        raise NotImplementedError

    def done(self, i_file: int) -> None:
        """Is told that nothing more comes of a file."""

    def _open(self, stack: ExitStack, path: Path | None, n_files: int) -> Sink:
        args = self._args
        sink = stack.enter_context(
            open_sink(
                args.format,
                path,
                n_files,
                self._facts,
                args.resume,
                args.retry_failed,
                getattr(args, "password", None),
            )
        )
        self.n_failed_before += sink.n_failed_before
        return sink


class _OneOutput(_Outputs):
    """One sink for all files."""

    def __enter__(self) -> _OneOutput:
        super().__enter__()
        self._sink = self._open(self, self._paths[0], len(self._files))
        return self

    def sink(self, i_file: int) -> Sink | None:
        return self._sink


class _FolderOutputs(_Outputs):
    """A sink per file, in a folder."""

    def __enter__(self) -> _FolderOutputs:
        super().__enter__()
        self._sinks: dict[int, tuple[Sink, ExitStack]] = {}
        return self

    def sink(self, i_file: int) -> Sink | None:
        if i_file not in self._sinks:
            path = self._paths[i_file]
            assert path is not None
            if self._args.resume and self._args.format != "jsonl" and path.exists():
                return None
            stack = self.enter_context(ExitStack())
            self._sinks[i_file] = self._open(stack, path, 1), stack
        return self._sinks[i_file][0]

    def done(self, i_file: int) -> None:
        self._sinks.pop(i_file)[1].close()


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
        self.n_failed = 0

    def read(self, files: Sequence[str], outputs: _Outputs) -> None:
        """Reads what the outputs lack, and hands it to them."""
        wanted: list[tuple[int, str, Sink]] = []

        def documents() -> Iterator[Any]:
            for i_file, file in enumerate(files):
                sink, name = outputs.sink(i_file), source_name(file)
                if sink is not None and not sink.holds(name):
                    wanted.append((i_file, name, sink))
                    sink.source = sys.stdin.buffer.read() if file == "-" else file
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
                    self._begin(file)
                n_done += isinstance(event, PageDone)
                if isinstance(event, DocumentDone):
                    self._end(file, event.document, sink, n_done)
                    outputs.done(i_file)
                else:
                    self._hand_over(file, event, sink)

    def _begin(self, file: str) -> None:
        if self._show_name:
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
            if not isinstance(error, (CrispVLError, OSError, ValueError)):
                raise error
            complain(str(error))
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
        if page.finish_reason == "length":
            complain(f"{file}: the answer was cut off at {self._options.max_tokens} tokens")
        elif page.flags != ("blank",):
            for remark in remarks(page):
                complain(f"{file}: {remark}")
