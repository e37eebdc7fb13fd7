"""``crispvl imatrix``: which weights matter, found by reading pages and text."""

from __future__ import annotations

import argparse
from pathlib import Path

from crispvl.cli import DONE, tell
from crispvl.cli.arguments import named_output
from crispvl.cli.progress import StepProgress
from crispvl.evaluation.imatrix import collect_importance
from crispvl.quantize.importance import write_importance
from crispvl.reading.ocr import CrispOCR
from crispvl.results.outputs import check_outputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="GGUF file, best in 16 bits or more")
    parser.add_argument(
        "output",
        metavar="OUT",
        type=named_output,
        help="file to write, for 'quantize --imatrix'",
    )
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="images to read and answer")
    parser.add_argument(
        "--text", action="append", default=[], metavar="FILE", help="UTF-8 text; may be repeated"
    )
    parser.add_argument("--mmproj", metavar="FILE", help="projector of a model in two files")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda … (default: auto)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: one per usable core)")
    parser.add_argument(
        "--max-tokens", type=int, default=512, help="of each answer (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    _check(args)
    with (
        CrispOCR(args.model, args.mmproj, args.device, args.threads, exact=True) as ocr,
        StepProgress() as progress,
    ):
        sums = collect_importance(
            ocr, args.pages, args.text, max_tokens=args.max_tokens, progress=progress
        )
    n_rows = write_importance(args.output, sums, [*args.pages, *args.text])
    tell(f"{len(sums)} matrices, up to {n_rows} activations each")
    print(args.output)
    return DONE


def _check(args: argparse.Namespace) -> None:
    inputs = [args.model, args.mmproj, *args.pages, *args.text]
    check_outputs([args.output], inputs, regular=True)
    output = Path(args.output)
    if output.is_file() and not _is_gguf_or_empty(output):  # a page, where OUT was forgotten
        raise ValueError(
            "[OUT] expected a new file, or an older importance matrix, after MODEL; found "
            f"'{output}', which is something else; choose another name"
        )


def _is_gguf_or_empty(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in (b"", b"GGUF")
