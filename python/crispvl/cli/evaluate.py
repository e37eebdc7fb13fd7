"""``crispvl eval``: how well a model reads images whose true text is known."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crispvl.cli import DONE, SOME_FAILED, complain
from crispvl.cli.arguments import add_model_arguments, add_options, read_options
from crispvl.cli.output import open_output, write_json
from crispvl.evaluation import Score, bar_chart, find_pairs, score, total
from crispvl.ocr import CrispOCR
from crispvl.options import LoadOptions, ReadOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", metavar="DIR", type=Path, help="images, each with its text in a .txt of its name"
    )
    add_model_arguments(parser)
    parser.add_argument("--against", metavar="MODEL", help="score another model beside it")
    parser.add_argument("--against-mmproj", metavar="FILE", help="projector of that model")
    parser.add_argument("--prompt", metavar="TEXT", help="what to ask, instead of the usual prompt")
    parser.add_argument("--json", action="store_true", help="machine-readable, with the texts")
    parser.add_argument("--plot", metavar="OUT.svg", type=Path, help="draw the error rates")
    add_options(parser, ReadOptions)


def run(args: argparse.Namespace) -> int:
    pairs = list(find_pairs(args.folder))
    names = [str(image.relative_to(args.folder)) for image, _ in pairs]
    models = {args.model or "bundled": (args.model, args.mmproj)}
    if args.against is not None:
        models[args.against] = (args.against, args.against_mmproj)
    rows = {label: _read(args, pairs, *files) for label, files in models.items()}
    if args.json:
        write_json(sys.stdout, {"files": names, "models": _as_json(names, rows)}, indent=2)
    else:
        for label, found in rows.items():
            _print(label, names, [row["score"] for row in found])
    if args.plot is not None:
        series = {
            Path(label).name: [r["score"].cer for r in found] for label, found in rows.items()
        }
        with open_output(args.plot) as stream:
            stream.write(bar_chart(names, series))
    failed = any(row["error"] for found in rows.values() for row in found)
    return SOME_FAILED if failed else DONE


def _read(
    args: argparse.Namespace, pairs: Sequence[tuple[Path, Path]], model: str | None,
    mmproj: str | None,
) -> list[dict[str, Any]]:  # fmt: skip
    options = read_options(args, ReadOptions)
    rows: list[dict[str, Any]] = []
    with CrispOCR(model, mmproj, **vars(read_options(args, LoadOptions))) as ocr:
        images = [image for image, _ in pairs]
        documents = ocr.recognize_many(images, args.prompt, options=options)
        for (image, truth), document in zip(pairs, documents, strict=True):
            if document.error is not None:
                complain(f"{image}: {document.error}")
            rows.append(
                {
                    "text": document.text,
                    "score": score(document.text, truth.read_text("utf-8")),
                    "confidence": document.confidence,
                    "error": document.error is not None or bool(document.failed_pages),
                }
            )
            complain(f"{len(rows)} of {len(pairs)}: {image}")
    return rows


def _print(label: str, names: Sequence[str], scores: Sequence[Score]) -> None:
    print(f"{label}\n{'CER':>8} {'WER':>8} {'NED':>8}")
    for name, found in [*zip(names, scores, strict=True), ("in total", total(scores))]:
        print(f"{found.cer:8.2%} {found.wer:8.2%} {found.ned:8.2%}  {name}")


def _as_json(names: Sequence[str], rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {
        label: {
            "total": total([row["score"] for row in found]).to_dict(),
            "files": {
                name: {**row, "score": row["score"].to_dict()}
                for name, row in zip(names, found, strict=True)
            },
        }
        for label, found in rows.items()
    }
