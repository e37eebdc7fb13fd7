"""Fixtures that all tests share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The oracle and the makers of tiny models are imported as `reference` and `tiny`.
sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of goldens beside the repository; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared: the goldens are not part of the repository")
    return folder
