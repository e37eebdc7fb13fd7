"""How far files of each type are from the published code, stage by stage.

    python benchmarks/exactness.py models/nano/checkpoint --log benchmarks/results/exactness.json

Converts a checkpoint in the `-hf` layout to each type and compares with transformers, which runs it
in float32 (``crispvl verify --against``; needs transformers and torch). Nothing is timed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CRISPVL = [sys.executable, "-m", "crispvl"]
STAGES = {"encoder and projector": "vis_proj_output", "logits": "logits_image"}


def measure(checkpoint: Path, kind: str, folder: Path) -> dict[str, Any]:
    """Least cosines of the stages that sum the others up, and how many tokens agree."""
    file = folder / f"{kind}.gguf"
    convert = ["convert", "--model", str(checkpoint), "--output", str(file), "--dtype", kind]
    subprocess.run([*CRISPVL, *convert], check=True, stdout=subprocess.DEVNULL)
    verify = [*CRISPVL, "verify", str(file), "--against", str(checkpoint), "--json"]
    told = subprocess.run(verify, check=True, stdout=subprocess.PIPE, text=True).stdout
    report = json.loads(told)
    stages = {stage["stage"]: stage["cosine_min"] for stage in report["stages"]}
    return {title: stages[name] for title, name in STAGES.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoint", type=Path, help="folder in the -hf layout")
    parser.add_argument("--types", nargs="+", default=["f32", "f16", "bf16", "q8_0"])
    parser.add_argument("--log", type=Path, help="where the figures go, as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {kind: measure(options.checkpoint, kind, Path(folder)) for kind in options.types}
    text = json.dumps(found, indent=1) + "\n"
    print(text)
    if options.log is not None:
        options.log.write_text(text)


if __name__ == "__main__":
    main()
