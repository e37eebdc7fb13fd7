"""``crispvl recognize``: the text of images and documents, as it is read."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from crispvl.cli import DONE, SOME_FAILED
from crispvl.cli.arguments import (
    add_model_arguments,
    add_options,
    named_output,
    read_options,
    readable,
)
from crispvl.cli.file_reader import FileReader
from crispvl.cli.manifest import Manifest, made_folder
from crispvl.cli.output import names_in_folder, parse_formats
from crispvl.cli.output_files import FolderOutputs, OneOutput, OutputRequest, Outputs, Paths
from crispvl.cli.progress import ProgressLine
from crispvl.cli.spellings import document_key
from crispvl.inputs.sources import expand
from crispvl.inputs.urls import is_url
from crispvl.inputs.utf8 import check_encodable
from crispvl.options import LoadOptions, ReadOptions
from crispvl.reading.ocr import CrispOCR
from crispvl.reading.settings import settings
from crispvl.results.document import Document
from crispvl.results.formats import FORMATS, format_of_file
from crispvl.results.json_lines import document_facts
from crispvl.results.outputs import check_outputs


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
        dest="formats",
        type=readable(parse_formats),
        metavar="FORMATS",
        help=f"one of {', '.join(sorted(FORMATS))}, or several separated by commas (default: the "
        "one that the suffix of -o names, or text). text and "
        "markdown are written while the page is read; html marks doubtful words; csv holds the "
        "tables; json (an object per document) and jsonl (a line per page) also hold flags, "
        "confidence, tokens and timings; hocr, alto (version 4) and tsv (Tesseract's columns) hold "
        "the position of every line and word; pdf is the document with its text as an invisible "
        "layer (default: text)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=named_output,
        help="file, or folder for a file per document; a name that ends in / is a folder and is "
        "created if needed; with several formats, each adds its own suffix to the file's name",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue where the output ends: jsonl page by page, a folder file by file; a file "
        "that was changed since is read again",
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="with --resume and jsonl: read failed pages again",
    )
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="show progress on standard error (default: if that is a terminal and the text goes "
        "elsewhere)",
    )
    add_options(parser, ReadOptions)


def run(args: argparse.Namespace) -> int:
    files = list(expand(args.files))
    args.formats = args.formats or (format_of_file(args.output or "") or "text",)
    into_folder = args.output is not None and _is_folder(args.output)
    if into_folder or (args.output is not None and args.formats == ("jsonl",)):
        files = _each_once(files)  # it has one file there, or one record per page
    _check(args, files, into_folder)
    if not into_folder:
        return _read(args, files, _outputs(args), None)
    with Manifest(made_folder(args.output)) as manifest:
        return _read(args, files, _outputs_in_folder(args, files, manifest), manifest)


def _read(
    args: argparse.Namespace,
    files: Sequence[str],
    outputs: Sequence[Paths],
    manifest: Manifest | None,
) -> int:
    """Reads documents into their outputs; the manifest is that of a folder."""
    written = [path for paths in outputs for path in paths.values() if path is not None]
    regular = args.resume or manifest is not None
    check_outputs(written, [*files, args.model, args.mmproj], regular=regular)
    tasks = {FORMATS[form].task for form in args.formats}
    if "task" not in args and len(tasks) == 1:
        (args.task,) = tasks
    options = read_options(args, ReadOptions)
    load = read_options(args, LoadOptions)
    shown = args.progress
    if shown is None:
        elsewhere = args.output is not None or not sys.stdout.isatty()
        shown = elsewhere and sys.stderr.isatty()
    with CrispOCR(args.model, args.mmproj, load=load) as ocr:
        chosen = settings(options, args.prompt, ocr.model.metadata)
        facts = document_facts(Document(source="", model=ocr.model.file, settings=chosen))
        wanted = OutputRequest(
            formats=args.formats, facts=facts, resume=args.resume,
            retry_failed=args.retry_failed, password=getattr(args, "password", None),
        )  # fmt: skip
        opened: Outputs = (
            OneOutput(files, outputs, wanted)
            if manifest is None
            else FolderOutputs(files, outputs, wanted, manifest)
        )
        with ProgressLine(len(files), shown) as line, opened as sinks:
            reader = FileReader(ocr, options, args.prompt, line, len(files) > 1 and not shown)
            reader.read(files, sinks)
    n_failed = reader.n_failed + sinks.n_failed + sinks.n_failed_before
    return SOME_FAILED if n_failed else DONE


def _is_folder(name: str) -> bool:
    return os.path.isdir(name) or name.endswith(("/", os.sep))


def _each_once(files: Iterable[str]) -> list[str]:
    first: dict[str, str] = {}
    for file in files:
        first.setdefault(document_key(file), file)
    return list(first.values())


def _check(args: argparse.Namespace, files: Sequence[str], into_folder: bool) -> None:
    if args.retry_failed and not args.resume:
        raise ValueError("[--retry-failed] expected --resume beside it; found none; add it")
    named = ",".join(args.formats)
    if args.retry_failed and args.formats != ("jsonl",):
        raise ValueError(
            "[--retry-failed] expected records, which say which pages failed; found the format "
            f"{named}; use --format jsonl"
        )
    if args.resume and "-" in files:
        raise ValueError(
            "[--resume] expected files, which are known by their names; found -, standard input; "
            "leave one of the two out"
        )
    if args.resume and "jsonl" in args.formats and len(args.formats) > 1:
        raise ValueError(
            f"[--resume] expected either jsonl or other formats; found {named}, of which one may "
            "hold a document that the others lack; start one run for each"
        )
    if args.resume and not into_folder and (args.formats != ("jsonl",) or args.output is None):
        raise ValueError(
            "[--resume] expected an output that records what was read; found "
            f"{args.output or 'standard output'} as {named}; use --format jsonl with -o FILE, or "
            "-o FOLDER"
        )
    if len(args.formats) > 1 and args.output is None:
        raise ValueError(
            f"[--format {named}] expected -o OUT or -o FOLDER/ for several formats; found "
            "standard output; add it"
        )
    single = next((form for form in args.formats if FORMATS[form].holds_one), None)
    form = FORMATS[single] if single is not None else None
    on_output = form is not None and form.write is None and args.output is None
    if form is not None and not into_folder and (len(files) > 1 or on_output):
        raise ValueError(
            f"[--format {single}] expected -o OUT{form.suffix} for one document, or -o FOLDER/; "
            f"found {args.output or 'standard output'} for {len(files)}; change -o"
        )
    address = next(filter(is_url, files), None)
    if "pdf" in args.formats and address is not None:
        raise ValueError(
            "[--format pdf] expected files, since the text is laid over their pages; found a web "
            f"address, {address}; download it first"
        )


def _outputs_in_folder(
    args: argparse.Namespace, files: Sequence[str], manifest: Manifest
) -> list[Paths]:
    """Returns the files for each document."""
    known = manifest if args.resume else None
    names = [
        names_in_folder(Path(args.output), files, FORMATS[form].suffix, known)
        for form in args.formats
    ]
    return [dict(zip(args.formats, row, strict=True)) for row in zip(*names, strict=True)]


def _outputs(args: argparse.Namespace) -> list[Paths]:
    """Returns the files for all documents."""
    if args.output is None:
        return [dict.fromkeys(args.formats)]
    output = Path(args.output)
    if len(args.formats) == 1:
        return [{args.formats[0]: output}]
    return [{name: output.with_name(output.name + FORMATS[name].suffix) for name in args.formats}]
