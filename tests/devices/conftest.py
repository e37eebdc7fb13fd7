"""The extension module with two more devices, built in a build tree that is there already."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGET = "_core_with_devices"


@pytest.fixture(scope="session")
def core_with_devices() -> Path:
    """The module's path; see ``copying_device.cpp``."""
    trees = [f.parent for f in ROOT.glob("build/*/build.ninja") if TARGET in f.read_text("utf-8")]
    if not trees or not shutil.which("cmake"):
        pytest.skip("no build tree of the extension module, or no cmake")
    tree = max(trees, key=lambda t: (t / "build.ninja").stat().st_mtime)
    done = subprocess.run(["cmake", "--build", tree, "--target", TARGET], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"the build tree {tree.name} builds no longer; the tools of its pip are gone")
    return next((tree / "cmake" / "python" / "with_devices").glob("_core*"))
