"""``crispvl batch``: many documents to one table of pages."""

from __future__ import annotations

import argparse
import math
import sys

from crispvl.batch.job import Job
from crispvl.batch.run import run_on_this_machine
from crispvl.batch.summary import Summary
from crispvl.cli import DONE, SOME_FAILED, tell
from crispvl.cli.arguments import add_model_arguments, add_options, read_options, readable
from crispvl.cli.output import write_json
from crispvl.cli.progress import StatusLine
from crispvl.extras import need_all
from crispvl.hub import bundled
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
        "-o", "--out", required=True, metavar="DIR", help="folder or address of the table's parts"
    )
    parser.add_argument(
        "--format", choices=["parquet", "jsonl"], default="parquet", help="format of the parts"
    )
    parser.add_argument(
        "--engine", choices=["local", "ray"], default="local", help="this machine, or a Ray cluster"
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: one per usable core)"
    )
    parser.add_argument(
        "--gpu-workers",
        type=int,
        default=0,
        metavar="N",
        help="workers with GPUs on a Ray cluster, in addition to those on CPUs (--workers)",
    )
    parser.add_argument(
        "--worker-gpus", type=float, default=1.0, metavar="N", help="GPUs of each (default: 1)"
    )
    parser.add_argument(
        "--attempts",
        type=int,
        default=Job.attempts,
        metavar="N",
        help="how often a page that crashes its worker is tried, the last time alone",
    )
    parser.add_argument(
        "--page-timeout",
        type=float,
        default=Job.page_timeout,
        metavar="SECONDS",
        help="how long a worker may be silent before it is ended",
    )
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep what the table has (the default), or read all pages of the job again",
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="read pages again that are recorded as failed"
    )
    parser.add_argument(
        "--price",
        type=float,
        metavar="PER_HOUR",
        help="of all workers together, for the cost per 1000 pages",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
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
    from crispvl._core import usable_cores

    n_workers = usable_cores() if args.workers is None else args.workers
    _check_workers(args, n_workers)
    if args.price is not None and not 0 <= args.price < math.inf:
        raise ValueError(f"[--price] expected a price of 0 or more; found {args.price}; change it")
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
        resume=args.resume,
        retry_failed=args.retry_failed,
    )
    if args.model is None:
        bundled.verified_path()
    if args.engine == "ray":
        need_all("ray", "batch --engine ray")
        from crispvl.batch.ray_engine import run_on_ray

        summary = run_on_ray(
            job, n_workers, n_gpu_workers=args.gpu_workers, worker_gpus=args.worker_gpus
        )
    else:
        with StatusLine() as line:

            def show(summary: Summary) -> None:
                _tell_model(job, summary)
                line.show(summary.progress())

            summary = run_on_this_machine(job, n_workers, on_rows=show)
    _tell_model(job, summary)
    if args.json:
        write_json(sys.stdout, summary.to_dict(args.price), indent=None)
    else:
        for told in summary.lines(args.price):
            tell(told)
    return SOME_FAILED if summary.failures.n or summary.n_kept_failed else DONE


def _tell_model(job: Job, summary: Summary) -> None:
    """Says what the bundled model is where it read a page: workers are silent."""
    if job.model is None and summary.n_read > summary.failures.n:
        bundled.announce()


def _check_workers(args: argparse.Namespace, n_workers: int) -> None:
    least = 0 if args.gpu_workers > 0 else 1
    if n_workers < least:
        raise ValueError(f"[--workers] expected at least {least}; found {n_workers}; raise it")
    if args.gpu_workers < 0 or (args.gpu_workers and args.engine != "ray"):
        raise ValueError(
            "[--gpu-workers] expected --engine ray and a number of workers; found "
            f"{args.gpu_workers}; on this machine choose with --device what reads"
        )
    if not args.worker_gpus > 0:
        raise ValueError(
            f"[--worker-gpus] expected a number over 0; found {args.worker_gpus}; raise it"
        )
