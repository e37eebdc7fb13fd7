"""The scripts of `benchmarks/` import each other by name, as they do when they are started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the scripts on the path."""
    monkeypatch.syspath_prepend(str(FOLDER))
    # Other scripts may have such common names.
    for name in ("work", "report", "compare", "make_model", "neighbours"):
        monkeypatch.delitem(sys.modules, name, raising=False)
