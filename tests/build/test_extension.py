"""The compiled module crispvl._core: what it shows to other libraries in the process."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from types import ModuleType

import crispvl
import pytest
from crispvl import _core, _cpu


def test_version_has_one_owner() -> None:
    assert crispvl.__version__ == version("crispvl") == _core.build_info()["version"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads ELF symbols")
@pytest.mark.parametrize("module", [_core, _cpu])
def test_extension_exports_only_its_entry_point(module: ModuleType) -> None:
    if shutil.which("nm") is None:
        pytest.skip("needs nm (binutils)")
    command = ["nm", "--dynamic", "--defined-only", "--format=posix", str(module.__file__)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [f"PyInit_{module.__name__.split('.')[1]}"]
