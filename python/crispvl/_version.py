"""The installed version, as the package's metadata has it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("crispvl")
except PackageNotFoundError:  # run from a source tree
    __version__ = "0+source"
