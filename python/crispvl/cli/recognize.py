"""``crispvl recognize``: the text of images, as it is read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from crispvl.cli import DONE, SOME_FAILED, complain
from crispvl.cli.arguments import add_model_arguments, add_options, read_options
from crispvl.cli.output import SUFFIXES, names_in_folder, open_output, write_json
from crispvl.document import Document
from crispvl.errors import Cancelled, CrispVLError
from crispvl.ocr import CrispOCR
from crispvl.options import LoadOptions, ReadOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="images; - is standard input")
    add_model_arguments(parser)
    parser.add_argument("--prompt", metavar="TEXT", help="what to ask, instead of the usual prompt")
    parser.add_argument(
        "--format",
        choices=sorted(SUFFIXES),
        default="text",
        help="text and markdown are written as they are read; json and jsonl hold tokens, "
        "confidence and timings too (default: text)",
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, help="file, or folder with a file per image"
    )
    add_options(parser, ReadOptions, leave_out=["task"])


def run(args: argparse.Namespace) -> int:
    task = "markdown" if args.format == "markdown" else "text"
    options = read_options(args, ReadOptions, task=task)
    load = read_options(args, LoadOptions)
    with CrispOCR(args.model, args.mmproj, **vars(load)) as ocr:
        reader = _Reader(ocr, options, args.prompt, show_name=len(args.files) > 1)
        if args.output is not None and args.output.is_dir():
            paths = names_in_folder(args.output, args.files, SUFFIXES[args.format])
            for file, path in zip(args.files, paths, strict=True):
                with open_output(path) as stream:
                    reader.write([file], args.format, stream)
        else:
            with open_output(args.output) as stream:
                reader.write(args.files, args.format, stream)
    return SOME_FAILED if reader.n_failed else DONE


class _Reader:
    """Reads files, reports what fails, and counts it."""

    def __init__(
        self, ocr: CrispOCR, options: ReadOptions, prompt: str | None, show_name: bool
    ) -> None:
        self._ocr = ocr
        self._options = options
        self._prompt = prompt
        self._show_name = show_name
        self.n_failed = 0

    def write(self, files: list[str], form: str, stream: IO[str]) -> None:
        if form == "json":
            results = [result.to_dict() for result in self._results(files)]
            write_json(stream, results[0] if len(files) == 1 else results, indent=2)
        elif form == "jsonl":
            for result in self._results(files):
                write_json(stream, result.to_dict(), indent=None)
        else:
            writer = _Writer(stream)
            for _ in self._results(files, on_text=writer.write):
                writer.end_line()

    def _results(
        self, files: list[str], on_text: Callable[[str], None] = lambda text: None
    ) -> Iterator[Document]:
        for file in files:
            if self._show_name:
                complain(file)
            try:
                text = self._ocr.stream(
                    sys.stdin.buffer if file == "-" else file, self._prompt, options=self._options
                )
                for chunk in text:
                    on_text(chunk)
                result = text.result
            except (BrokenPipeError, Cancelled):
                raise
            except (CrispVLError, OSError, ValueError) as error:
                complain(str(error))
                self.n_failed += 1
                result = Document(source=file, error=error)
            else:
                if result.finish_reason == "length":
                    complain(f"{file}: the answer was cut off at {self._options.max_tokens} tokens")
            yield result


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
