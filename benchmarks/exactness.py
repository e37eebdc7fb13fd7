"""How far files of each type are from the published code, stage by stage.

    python benchmarks/exactness.py models/nano/checkpoint --log benchmarks/results/exactness.json

Converts a checkpoint in the `-hf` layout to each type and compares with transformers, which runs it
in float32 (``crispvl verify --against``; needs transformers and torch). Nothing is timed.
``--llama-cpp`` does the same with llama.cpp and its text model on a prompt of text; needs
llama-cpp-python.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CRISPVL = [sys.executable, "-m", "crispvl"]
STAGES = {"encoder and projector": "vis_proj_output", "logits": "logits_image"}
PEERS = ("logits of text", "the same, llama.cpp")
PROMPT = Path(__file__).resolve().parents[1] / "LICENSE"
STEP, N_PROMPT = 32, 512  # tokens: prompts are the text's first 32, 64, …


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


Prompt = tuple[list[int], NDArray[np.float32]]
"""Tokens of a text, and the published logits after each of them."""


def published_logits(checkpoint: Path) -> Prompt:
    """The prompt, by transformers in float32."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(checkpoint)(PROMPT.read_text())["input_ids"][:N_PROMPT]
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32)
    with torch.inference_mode():
        found: NDArray[np.float32] = model(input_ids=torch.tensor([ids])).logits[0].numpy()
    return ids, found


def measure_text(checkpoint: Path, kind: str, folder: Path, prompt: Prompt) -> dict[str, float]:
    """Least cosines of the logits after prompts of text, of crispvl and llama.cpp with one pair."""
    from crispvl import Model
    from crispvl.convert import convert_checkpoint
    from llamacpp_logits import logits

    ids, published = prompt
    ends = list(range(STEP, len(ids) + 1, STEP))
    text, mmproj = convert_checkpoint(checkpoint, folder / f"pair-{kind}.gguf", kind, "pair").files
    model = Model.load(text, mmproj, device="cpu")
    ours = np.stack([model.trace(None, ids[:end])["logits"] for end in ends])
    last = np.array(ends) - 1
    theirs = logits(text, ids)[last, : published.shape[1]]
    return {
        name: least_cosine(found, published[last])
        for name, found in zip(PEERS, (ours, theirs), strict=True)
    }


def least_cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Of the rows."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(1, dtype=np.float64) / norms).min())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoint", type=Path, help="folder in the -hf layout")
    parser.add_argument("--types", nargs="+", default=["f32", "f16", "bf16", "q8_0"])
    parser.add_argument("--llama-cpp", action="store_true", help="measure llama.cpp as well")
    parser.add_argument("--log", type=Path, help="where the figures go, as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {kind: measure(options.checkpoint, kind, Path(folder)) for kind in options.types}
        if options.llama_cpp:
            prompt = published_logits(options.checkpoint)
            for kind in options.types:
                found[kind] |= measure_text(options.checkpoint, kind, Path(folder), prompt)
    text = json.dumps(found, indent=1) + "\n"
    print(text)
    if options.log is not None:
        options.log.write_text(text)


if __name__ == "__main__":
    main()
