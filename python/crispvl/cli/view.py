"""``crispvl view``: a page with its tiles, boxes and doubtful words, as an HTML file."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

from crispvl.cli import DONE, SOME_FAILED, complain
from crispvl.cli.arguments import (
    add_model_arguments,
    add_options,
    output_path,
    read_options,
    readable,
)
from crispvl.cli.file_reader import kept_input
from crispvl.cli.output import open_output, output_name
from crispvl.inputs.sources import open_source
from crispvl.inputs.utf8 import check_encodable
from crispvl.options import LoadOptions, ReadOptions
from crispvl.reading.ocr import CrispOCR
from crispvl.results.html_report import html_report
from crispvl.results.outputs import check_outputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("page", metavar="PAGE", help="image or document; see --pages")
    add_model_arguments(parser)
    parser.add_argument(
        "--prompt",
        metavar="TEXT",
        type=readable(check_encodable),
        help="what to ask, instead of the usual prompt",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=output_path,
        help="HTML file (default: PAGE's name.html)",
    )
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    add_options(parser, ReadOptions)


def run(args: argparse.Namespace) -> int:
    options = read_options(args, ReadOptions)
    output = args.output or Path(output_name(args.page, ".html"))
    check_outputs([output], [args.page, args.model, args.mmproj])
    with CrispOCR(args.model, args.mmproj, load=read_options(args, LoadOptions)) as ocr:
        read = kept_input(args.page)
        document = ocr.recognize(read, args.prompt, options=options)
    with open_source(read, options) as source:
        numbers = {page.number for page in document.pages if page.width_px}
        # A page that could not be loaded has no picture to show; its remark is on the terminal.
        images = [page.load() for page in source.pages(options.pages) if page.number in numbers]
    for page in document.failed_pages:
        complain(str(page.error))
    with open_output(output) as stream:
        stream.write(html_report(document.only(numbers), images))
    complain(f"{output} written")
    if args.open:
        webbrowser.open(output.resolve().as_uri())
    return SOME_FAILED if document.failed_pages else DONE
