#!/usr/bin/env python3
"""crispvl beside llama.cpp on the same two files: alternating runs, medians and ratios.

    python benchmarks/compare.py text.gguf mmproj.gguf --peer-python PYTHON [--runs 3]

PYTHON is an interpreter with llama-cpp-python 0.3.36, built with native flags. The ratios are what
to quote: absolute times are the machine's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROWS = {  # name -> (unit, whether more is better)
    "encode_s_per_tile": ("s", False),
    "prefill_tokens_per_s": ("tokens/s", True),
    "decode_tokens_per_s": ("tokens/s", True),
}


def ours(args: argparse.Namespace) -> dict[str, float]:
    """One run of `crispvl bench`, reduced to the rows."""
    command = [
        sys.executable, "-m", "crispvl", "bench", "-m", args.text, "--mmproj", args.mmproj,
        "--threads", str(args.threads), "--tiles", "1", "--lengths", str(args.length),
        "--streams", "1", "--tokens", str(args.tokens), "--runs", "1", "--json",
    ]  # fmt: skip
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {name: next(iter(found[name].values())) for name in ROWS}


def theirs(args: argparse.Namespace) -> dict[str, float]:
    """One run of llama.cpp on the same work."""
    command = [
        args.peer_python, str(HERE / "llamacpp_side.py"), args.text, args.mmproj,
        "--threads", str(args.threads), "--length", str(args.length),
        "--tokens", str(args.tokens),
    ]  # fmt: skip
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(out.splitlines()[-1])
    return found


def main() -> None:
    """Runs both in turn and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", help="text model, GGUF")
    parser.add_argument("mmproj", help="its projector, GGUF")
    parser.add_argument("--peer-python", required=True, help="Python with llama-cpp-python")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--length", type=int, default=1024, help="prompt tokens")
    parser.add_argument("--tokens", type=int, default=24, help="decoded tokens")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    runs = []
    for i in range(args.runs):
        print(f"… run {i + 1} of {args.runs}", file=sys.stderr)
        runs.append((ours(args), theirs(args)))
    print("| work | crispvl | llama.cpp | times as fast |\n|---|---|---|---|")
    for name, (unit, more_is_better) in ROWS.items():
        a = statistics.median(mine[name] for mine, _ in runs)
        b = statistics.median(peer[name] for _, peer in runs)
        ratio = a / b if more_is_better else b / a
        print(f"| {name} | {a:.4g} {unit} | {b:.4g} {unit} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
