"""What only tests call, such as the CPU kernels by themselves: a module in the build's folder."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def find_kernels() -> Any:
    """Returns the newest module, or None where none was built."""
    name = f"_kernels{sysconfig.get_config_var('EXT_SUFFIX')}"
    found = list(ROOT.glob(f"build/*/cmake/python/kernels/{name}"))
    if not found:
        return None
    importlib.import_module("crispvl._core")  # has a base class of the module
    path = max(found, key=lambda path: path.stat().st_mtime)
    loader = importlib.machinery.ExtensionFileLoader("_kernels", str(path))
    spec = importlib.util.spec_from_loader("_kernels", loader)
    assert spec is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


kernels = find_kernels()
