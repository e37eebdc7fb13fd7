#!/usr/bin/env python3
"""Our kernels and ggml's alone, on this machine as it is or as if it were a smaller one.

    python benchmarks/kernels.py TEXT.gguf MMPROJ.gguf --features avx2,fma,f16c --core DIR

The two take turns in one process; medians and ratios are printed. For a CPU without AVX-512,
`--features` leaves our kernels for it out, and `--core` names a build whose ggml has none either:
configured with GGML_NATIVE=OFF and GGML_{SSE42,AVX,AVX2,FMA,F16C,BMI2}=ON, in cmake/python of its
folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import crispvl
import report
import work


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", help="text model, GGUF")
    parser.add_argument("mmproj", help="its projector, GGUF")
    parser.add_argument("--features", help="of the CPU, with commas (default: all it has)")
    parser.add_argument("--core", metavar="DIR", help="folder of another build's _core")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", default="encode,prefill-2048,decode-1,decode-8")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--clock", choices=work.CLOCKS, default="wall")
    return parser.parse_args(arguments)


def main() -> None:
    """Measures and prints the table."""
    args = parse()
    work.use_clock(args.clock)
    if args.core:
        crispvl.__path__.insert(0, args.core)
    from crispvl import _core, _cpu
    from crispvl_side import Crispvl

    features = args.features.split(",") if args.features else list(_cpu.features())
    limits = {report.OURS: features, report.GGML: []}
    models = {}
    for side, limit in limits.items():
        _core.limit_features(limit)
        models[side] = Crispvl(args)
    name = f"{Path(args.model).stem} + {Path(args.mmproj).stem}"
    lines = []
    for _ in range(args.runs):
        for side, model in models.items():
            _core.limit_features(limits[side])
            values = work.measure(model, work.read_work(args.work))
            lines.append({"model": name, "side": side, "values": values})
    print(report.tables(lines))


if __name__ == "__main__":
    main()
