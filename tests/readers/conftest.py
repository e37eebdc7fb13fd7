"""Tiny checkpoints, each made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import pytest
from foreign import ForeignModel
from tiny import make_checkpoint
from tiny.rows import row


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ForeignModel]:
    """A tiny checkpoint by the name of its row."""

    @lru_cache
    def load(name: str) -> ForeignModel:
        folder = tmp_path_factory.mktemp(name) / "checkpoint"
        return ForeignModel.load(make_checkpoint(row(name), folder))

    return load
