"""``crispvl quantize``: a model file made smaller by a recipe."""

from __future__ import annotations

import argparse

from crispvl.cli import DONE, complain, tell
from crispvl.cli.arguments import named_output, readable
from crispvl.cli.progress import StepProgress
from crispvl.options.sizes import parse_size
from crispvl.quantize.quantize import QuantizeReport, quantize_file
from crispvl.quantize.recipes import AUTO, RECIPES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="GGUF file, best in 16 bits or more")
    parser.add_argument("output", metavar="OUT", type=named_output, help="file to write")
    parser.add_argument(
        "recipe", metavar="TYPE", help=f"one of {', '.join([*RECIPES, AUTO])}; auto needs --size"
    )
    parser.add_argument(
        "--size",
        type=readable(parse_size),
        metavar="SIZE",
        help="size for auto to meet, like 1.2GB or 900MiB",
    )
    parser.add_argument(
        "--tensor",
        action="append",
        default=[],
        metavar="PATTERN=TYPE",
        help="type of the tensors whose name matches, like 'v.blk.*=q8_0'; may be repeated",
    )
    parser.add_argument(
        "--force", action="store_true", help="let --tensor make the encoder coarser than q8_0"
    )
    parser.add_argument("--imatrix", metavar="FILE", help="importance matrix of 'crispvl imatrix'")
    parser.add_argument("--threads", type=int, help="CPU threads (default: one per usable core)")


def run(args: argparse.Namespace) -> int:
    with StepProgress() as progress:
        report = quantize_file(
            args.input,
            args.output,
            args.recipe,
            max_bytes=args.size,
            overrides=args.tensor,
            force=args.force,
            imatrix=args.imatrix,
            threads=args.threads,
            progress=progress,
        )
    _summarise(report)
    print(report.path)
    return DONE


def _summarise(report: QuantizeReport) -> None:
    types = ", ".join(f"{count} {name}" for name, count in report.types.items())
    tell(
        f"{report.recipe}: {report.source_bytes / 1e6:.1f} MB to {report.n_bytes / 1e6:.1f} MB, "
        f"{report.bits_per_weight:.2f} bits per weight, in {report.elapsed_s:.1f} s ({types})"
    )
    stand_ins: dict[tuple[str, str], list[str]] = {}
    for name, wanted, written in report.fallbacks:
        stand_ins.setdefault((wanted, written), []).append(name)
    for (wanted, written), names in stand_ins.items():
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        tell(f"{written} instead of {wanted}: {shown}")
    for warning in report.warnings:
        complain(f"warning: {warning}")
