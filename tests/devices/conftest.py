"""The extension module with two more devices, which a build with CRISPVL_TEST_DEVICES leaves."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def core_with_devices() -> Path:
    """The newest module's path; see ``copying_device.cpp``."""
    name = f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    found = list(ROOT.glob(f"build/*/cmake/python/with_devices/{name}"))
    if not found:
        pytest.skip('not built: CMAKE_ARGS="-DCRISPVL_TEST_DEVICES=ON" when crispvl is built')
    return max(found, key=lambda path: path.stat().st_mtime)
