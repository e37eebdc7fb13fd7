"""The ``convert`` command: arguments, progress on standard error, and a summary."""

from __future__ import annotations

import argparse

from crispvl.cli import tell
from crispvl.cli.arguments import output_path, readable
from crispvl.cli.progress import StepProgress
from crispvl.convert.chat import PROMPT_NAMES
from crispvl.convert.convert import LAYOUTS, ConversionReport, convert_checkpoint
from crispvl.convert.dtypes import DTYPES
from crispvl.options import fraction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options to a parser."""
    parser.add_argument(
        "-m",
        "--model",
        required=True,
        metavar="DIR_OR_REPO",
        help="checkpoint folder (OpenGVLab or -hf layout), or a hub name like org/model",
    )
    parser.add_argument(
        "-o", "--output", required=True, type=output_path, metavar="FILE", help="file to write"
    )
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        help="type of the large matrices (f16; of a packed checkpoint what keeps its blocks: q4_1 "
        "for AWQ, mxfp4 for gpt-oss's experts)",
    )
    parser.add_argument(
        "--layout",
        choices=LAYOUTS,
        default="single",
        help="one file, or llama.cpp's text file with mmproj-FILE beside it (%(default)s)",
    )
    parser.add_argument(
        "--prompt",
        action="append",
        default=[],
        type=_prompt,
        metavar="NAME=TEXT",
        help="prompt the model was trained to answer, for example text=OCR; may be repeated",
    )
    parser.add_argument(
        "--image-position-step",
        type=readable(fraction),
        metavar="STEP",
        help="how far an image token advances the position, for a model trained with 1/2 … 1/256",
    )


def run(args: argparse.Namespace) -> int:
    """Converts; returns the exit code: 0 done, 2 wrong usage or unusable checkpoint."""
    with StepProgress("B") as progress:
        report = convert_checkpoint(
            args.model,
            args.output,
            args.dtype,
            args.layout,
            prompts=dict(args.prompt),
            image_position_step=args.image_position_step,
            progress=progress,
        )
    _summarise(report)
    return 0


def _summarise(report: ConversionReport) -> None:
    types = ", ".join(f"{count} {name}" for name, count in report.types.items())
    tell(
        f"{report.architecture}: {report.n_tensors} tensors ({types}), "
        f"{report.n_bytes / 1e6:.1f} MB in {report.elapsed_s:.1f} s"
    )
    if report.fallbacks:
        tell(f"float16 for rows that are not a multiple of 32: {', '.join(report.fallbacks)}")
    for warning in report.warnings:
        tell(f"warning: {warning}")
    for path in report.files:
        print(path)


def _prompt(text: str) -> tuple[str, str]:
    name, separator, prompt = text.partition("=")
    if not separator or name not in PROMPT_NAMES:
        raise argparse.ArgumentTypeError(
            f"expected NAME=TEXT with a name out of {', '.join(PROMPT_NAMES)}; found '{text}'; "
            "write it so"
        )
    return name, prompt
