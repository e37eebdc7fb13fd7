"""A tiny model, and programs that are run beside the test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from crispvl.convert import convert_checkpoint
from tiny import ROWS, make_checkpoint

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(ROWS[0], tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture(scope="session")
def tiny(checkpoint: Path) -> Path:
    path = checkpoint.parent / "tiny.gguf"
    convert_checkpoint(checkpoint, path, "f16")
    return path


def run_python(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a program in an interpreter of its own, which ends within two minutes."""
    command = [sys.executable, "-c", program, *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)
