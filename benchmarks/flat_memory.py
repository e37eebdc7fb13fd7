"""Reads a page again and again and shows that the process does not grow.

    python benchmarks/flat_memory.py --readings 10000

Tells the resident memory after each tenth of the readings; fails when the last tenth is more than
``--max-kib`` above the second (the first still fills caches).
"""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

import numpy as np
from crispvl import CrispOCR
from PIL import Image


def resident_kib() -> int:
    """Returns this process's resident memory; Linux only."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def main() -> int:
    parser = argparse.ArgumentParser(description="Reads a page many times.")
    parser.add_argument("--model", help="GGUF file; without it the bundled model")
    parser.add_argument("--readings", type=int, default=10_000)
    parser.add_argument("--max-kib", type=int, default=2048, help="growth that is still flat")
    options = parser.parse_args()
    ocr = CrispOCR(options.model, device="cpu", threads=1)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    page = Image.fromarray(pixels)
    expected = ocr.recognize(page, max_tokens=4).text
    sizes = []
    for part in range(10):
        for _ in range(options.readings // 10):
            assert ocr.recognize(page, max_tokens=4).text == expected
        sizes.append(resident_kib())
        print(
            f"{(part + 1) * (options.readings // 10):>7} readings  {sizes[-1]:>8} KiB", flush=True
        )
    growth = sizes[-1] - sizes[1]
    print(f"growth from the second tenth to the last: {growth} KiB")
    return 0 if growth <= options.max_kib else 1


if __name__ == "__main__":
    sys.exit(main())
