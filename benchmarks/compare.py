#!/usr/bin/env python3
"""crispvl and other engines on the same work: runs in turn, medians, ratios.

    python benchmarks/compare.py TEXT.gguf MMPROJ.gguf --peer-python PYTHON \
        --transformers-python PYTHON --checkpoint DIR --log results.jsonl --plot results.svg

The others are llama.cpp, ik_llama.cpp, transformers and OpenVINO. The peer's Python has
llama-cpp-python, built with native flags; another has torch and transformers, a third,
`--openvino-python`, OpenVINO and its GenAI, which read a page part by part, a fourth,
`--ik-python`, ik-llama-cpp-python, for text alone. Each run of a side is a process of its own and
one line of the log, so that a measurement can be made in parts: report.py shows all lines together,
without those of runs that other programs disturbed. The ratios are what to quote: absolute times
are the machine's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import report
import work

HERE = Path(__file__).resolve().parent

Kinds = dict[str, tuple[str, int]]
"""What `work.read_work` returns."""


def asked_of(side: str, kinds: Kinds) -> Kinds:
    """The work of a side.

    Pages together are ours alone, one side has no encoder, and OpenVINO's sides share a text model.
    """
    if side == report.OURS:
        return kinds
    left_out = {work.PAGES}
    if side == report.IK_LLAMA:
        left_out |= {work.ENCODE, work.PAGE}
    elif side in list(report.OPENVINO)[1:]:
        left_out |= {work.PREFILL, work.DECODE}
    return {name: kind for name, kind in kinds.items() if kind[0] not in left_out}


def command(side: str, args: argparse.Namespace) -> list[str]:
    """How a side is started."""
    kinds = asked_of(side, work.read_work(args.work))
    python, script, model, *more = {
        report.OURS: (sys.executable, "crispvl_side.py", args.text),
        report.LLAMA: (args.peer_python, "llamacpp_side.py", args.text),
        report.IK_LLAMA: (args.ik_python, "ik_llama_side.py", args.text),
        report.TRANSFORMERS: (args.transformers_python, "transformers_side.py", args.checkpoint),
        **{
            name: (args.openvino_python, "openvino_side.py", args.text, "--kind", kind)
            for name, kind in report.OPENVINO.items()
        },
    }[side]
    return [
        str(python), str(HERE / script), str(model), "--mmproj", str(args.mmproj), *more,
        "--threads", str(args.threads), "--clock", args.clock, "--work", ",".join(kinds),
    ]  # fmt: skip


def measure(side: str, args: argparse.Namespace) -> dict[str, Any]:
    """One run of one side: a line of the log.

    Raises:
        SystemExit: The side failed; its last words are shown.
    """
    start, busy, own = time.perf_counter(), busy_s(), children_s()
    done = subprocess.run(command(side, args), capture_output=True, text=True)
    wall = time.perf_counter() - start
    others = busy_s() - busy - (children_s() - own)
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-5:])
        raise SystemExit(f"[compare] {side} is expected to run; it failed:\n{last}")
    values = json.loads(done.stdout.splitlines()[-1])
    model = f"{Path(args.text).stem} + {Path(args.mmproj).stem}"
    share = round(max(0.0, others) / (wall * (os.cpu_count() or 1)), 3)
    return {"model": model, "side": side, "others": share, "values": values}


def busy_s() -> float:
    """Seconds all CPUs have worked since the start, for whomever; Linux only."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(
            int, stat.readline().split()[1:9]
        )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def children_s() -> float:
    """CPU seconds of the processes this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("text", help="text model, GGUF")
    parser.add_argument("mmproj", help="its projector, GGUF")
    parser.add_argument("--peer-python", metavar="PYTHON", help="with llama-cpp-python")
    parser.add_argument("--ik-python", metavar="PYTHON", help="with ik-llama-cpp-python")
    parser.add_argument("--transformers-python", metavar="PYTHON", help="with transformers")
    parser.add_argument(
        "--openvino-python", metavar="PYTHON", help="with openvino-genai, nncf and gguf"
    )
    parser.add_argument("--checkpoint", metavar="DIR", help="what transformers loads")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--work",
        default=work.ALL_WORK,
        help="encode, prefill-N tokens, decode-N streams, page, pages-N (default: %(default)s)",
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--clock", choices=work.CLOCKS, default="wall")
    parser.add_argument("--log", type=Path, metavar="FILE", help="JSON lines; added to")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="SVG of the ratios")
    args = parser.parse_args(arguments)
    try:
        work.read_work(args.work)
    except ValueError as error:
        parser.error(str(error))
    for name in ("runs", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} of at least 1 is expected")
    for name in ("text", "mmproj"):
        if not Path(getattr(args, name)).is_file():
            parser.error(f"a {name} file is expected; there is no '{getattr(args, name)}'")
    if bool(args.transformers_python) != bool(args.checkpoint):
        parser.error("--transformers-python and --checkpoint are expected together")
    return args


def main() -> None:
    """Runs the sides in turn and prints the table."""
    args = parse()
    sides = [report.OURS]
    sides += [report.LLAMA] if args.peer_python else []
    sides += [report.IK_LLAMA] if args.ik_python else []
    sides += [report.TRANSFORMERS] if args.transformers_python else []
    sides += report.OPENVINO if args.openvino_python else []
    kinds = work.read_work(args.work)
    sides = [side for side in sides if asked_of(side, kinds)]
    lines = []
    for i in range(args.runs):
        for side in sides:
            print(f"… run {i + 1} of {args.runs}: {side}", file=sys.stderr)
            lines.append(measure(side, args))
            if args.log:
                with args.log.open("a") as log:
                    log.write(json.dumps(lines[-1]) + "\n")
    if args.log:
        lines = report.read_log(args.log)
    print(report.tables(lines))
    if args.plot:
        report.plot(lines, args.plot)


if __name__ == "__main__":
    main()
