"""The scores on real pages, which need none of the packages of training."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rapidfuzz")

ROOT = Path(__file__).resolve().parents[2]

WITHOUT_TORCH = """
import runpy, sys
sys.argv = sys.argv[1:]
sys.modules["torch"] = sys.modules["transformers"] = None  # as if not installed
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_real_pages_are_scored_without_torch(tmp_path: Path) -> None:
    for suffix in ("png", "txt"):
        shutil.copy(ROOT / "examples" / f"receipt.{suffix}", tmp_path)
    evaluate = ROOT / "models" / "nano" / "evaluate.py"
    scores = tmp_path / "scores.json"
    command = [sys.executable, "-c", WITHOUT_TORCH, evaluate, "--real", tmp_path, "--json", scores]
    done = subprocess.run(command, capture_output=True, text=True, cwd=evaluate.parent)
    assert done.returncode == 0, done.stderr
    assert json.loads(scores.read_text())[tmp_path.name]["crispvl"]["f1"] == 1
