"""``crispvl batch``: many documents to one table of pages."""

from __future__ import annotations

import argparse
import sys

from crispvl.batch.job import Job
from crispvl.batch.local import n_cores
from crispvl.batch.run import Summary, run_on_this_machine
from crispvl.cli import DONE, SOME_FAILED
from crispvl.cli.arguments import add_model_arguments, add_options, read_options, readable
from crispvl.inputs.utf8 import check_encodable
from crispvl.options import LoadOptions, ReadOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="files, folders, patterns, addresses such as s3://bucket/folder, and @LIST, a file "
        "with one of these on each line",
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder or address of the table's parts"
    )
    parser.add_argument(
        "--format", choices=["parquet", "jsonl"], default="parquet", help="of the parts"
    )
    parser.add_argument(
        "--engine", choices=["local", "ray"], default="local", help="this machine, or a Ray cluster"
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: one per core)"
    )
    parser.add_argument(
        "--attempts",
        type=int,
        default=Job.attempts,
        metavar="N",
        help="how often a page that ends its worker is tried, the last time alone",
    )
    parser.add_argument(
        "--page-timeout",
        type=float,
        default=Job.page_timeout,
        metavar="SECONDS",
        help="after which a silent worker is ended",
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="read pages again that are recorded as failed"
    )
    parser.add_argument(
        "--price",
        type=float,
        metavar="PER_HOUR",
        help="of all workers, for the cost per 1000 pages",
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--prompt",
        metavar="TEXT",
        type=readable(check_encodable),
        help="what to ask of each page, instead of the usual prompt",
    )
    add_options(parser, ReadOptions)


def run(args: argparse.Namespace) -> int:
    """Reads what the table lacks and prints the summary."""
    n_workers = n_cores() if args.workers is None else args.workers
    if n_workers < 1:
        raise ValueError(f"[--workers] at least 1 expected; found {n_workers}; change it")
    job = Job(
        inputs=tuple(args.inputs),
        out=args.out,
        format=args.format,
        model=args.model,
        mmproj=args.mmproj,
        load=read_options(args, LoadOptions),
        read=read_options(args, ReadOptions),
        prompt=args.prompt,
        attempts=args.attempts,
        page_timeout=args.page_timeout,
        retry_failed=args.retry_failed,
    )
    if args.engine == "ray":
        from crispvl.batch.ray_engine import run_on_ray

        summary = run_on_ray(job, n_workers)
    else:
        summary = run_on_this_machine(job, n_workers, on_rows=_show)
        _clear()
    for line in summary.lines(args.price):
        print(line, file=sys.stderr)
    return SOME_FAILED if summary.failures else DONE


def _show(summary: Summary) -> None:
    if sys.stderr.isatty():
        rate = f"{summary.pages_per_second:.1f} pages/s"
        print(f"\r{summary.n_read} pages, {rate}", end="", file=sys.stderr, flush=True)


def _clear() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
