"""A batch job that is killed without a word: what it has written stays, and --resume goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

N_PAGES = 12


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for i in range(N_PAGES):
        pixels = np.random.default_rng(i).integers(0, 256, (300, 400, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    return folder


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_job_keeps_its_records_and_is_resumed(
    tiny: Path, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "crispvl", "recognize", str(scans), "-m", str(tiny)]
    command += ["--format", "jsonl", "-o", str(out), "--resume", "--max-tokens", "64"]
    job = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while len(lines_of(out)) < 3 and job.poll() is None:
        time.sleep(0.01)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    kept = [line for line in lines_of(out) if line.endswith("\n")]
    assert len(kept) >= 3
    records = [json.loads(line) for line in kept]
    assert subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
    found = [json.loads(line) for line in lines_of(out)]
    assert found[: len(records)] == records
    assert [Path(record["source"]).name for record in found] == sorted(
        path.name for path in scans.iterdir()
    )
