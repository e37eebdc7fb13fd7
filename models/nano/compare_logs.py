"""Compares the early loss curve of a run from scratch with the committed one.

    python models/nano/train.py --out scratch --steps 100 --encoder-share 1 --multi-tile 0
    python models/nano/compare_logs.py scratch/log.jsonl models/nano/scratch.jsonl

Both runs draw the same pages in the same order; what differs is the rounding of another CPU. Exits
with 1 where a dense loss is off by more than a tenth.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

LOSSES = ("patch", "slot")
TOLERANCE = 0.1  # relative


def by_step(path: str) -> dict[int, dict[str, float]]:
    """The lines of a log by their step."""
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return {line["step"]: line for line in lines}


def main(one: str, two: str) -> int:
    """Prints both curves and returns the exit status."""
    mine, theirs = by_step(one), by_step(two)
    worst = 0.0
    for step in sorted(mine.keys() & theirs.keys()):
        for name in LOSSES:
            a, b = mine[step][name], theirs[step][name]
            worst = max(worst, abs(a - b) / b)
            print(f"step {step:4} {name:6} {a:8.4f} {b:8.4f}")
    print(f"largest relative difference {worst:.1%}")
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
