"""`crispvl serve` under load: what it bears, and how fast it is for many at once.

    python benchmarks/server_load.py storm              # 64 clients for two minutes
    python benchmarks/server_load.py crowd              # 1600 connections at once
    python benchmarks/server_load.py together -m 1b.gguf
    python benchmarks/server_load.py against -m text.gguf --mmproj mmproj.gguf --llama-server PATH
    python benchmarks/server_load.py report             # what --log kept, into docs/server.md

`storm` and `crowd` check as well, and end with 1 where something was wrong: every good answer must
be the one that the same request gets alone, every bad request a 4xx, memory flat, and in the end no
place taken. The others tell tokens per second and pages per minute. Needs an idle machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import sys
from datetime import date
from pathlib import Path

import psutil
from server_report import write_report
from server_speed import against, together
from server_storm import ROOT, crowd, storm

LOADS = {"storm": storm, "crowd": crowd, "together": together, "against": against}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("load", choices=[*LOADS, "report"])
    parser.add_argument("-m", "--model", help="GGUF file; else the bundled model")
    parser.add_argument("--mmproj")
    parser.add_argument("--llama-server", help="llama.cpp's server, for `against`")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False))
    parser.add_argument("--clients", type=int, help="64 in a storm, 1600 in a crowd, else 8")
    parser.add_argument("--seconds", type=float, default=120, help="of a storm")
    parser.add_argument("--pages", type=int, default=16, help="for `against`")
    parser.add_argument("--tokens", type=int, default=128, help="of an answer, where they count")
    parser.add_argument(
        "--log",
        type=Path,
        default=ROOT / "benchmarks/results/server.json",
        help="where the figures are kept, as JSON",
    )
    args = parser.parse_args()
    kept = json.loads(args.log.read_text()) if args.log.exists() else {}
    if args.load == "report":
        write_report(kept, ROOT / "docs/server.md")
        return 0
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    tally = asyncio.run(LOADS[args.load](args))
    where = {"date": date.today().isoformat(), "machine": _machine()}
    figures = {**where, **tally.figures(), "model": Path(args.model or "the bundled model").name}
    print(json.dumps(figures, indent=1))
    for text in tally.wrong[:10]:
        print(f"WRONG: {text}")
    if not tally.wrong:
        args.log.write_text(json.dumps({**kept, args.load: figures}, indent=1) + "\n")
    return 1 if tally.wrong else 0


def _machine() -> str:
    return f"{os.cpu_count()} CPUs, {platform.machine()}"


if __name__ == "__main__":
    sys.exit(main())
