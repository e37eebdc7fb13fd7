"""Memory of this process and of this machine."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def process_bytes() -> int:
    """Resident memory of this process."""
    if sys.platform == "linux":
        return _field(Path("/proc/self/status"), "VmRSS:") * 1024
    return int(_psutil().Process().memory_info().rss)


def available_bytes(root: Path = Path("/")) -> int | None:
    """Host memory that can still be used, a container's limits respected; None if unknown.

    Args:
        root: On Linux, the folder with ``proc`` and ``sys``.
    """
    if sys.platform != "linux":
        return int(_psutil().virtual_memory().available)
    meminfo = root / "proc/meminfo"
    if not meminfo.exists():
        return None
    available = _field(meminfo, "MemAvailable:") * 1024
    for folder, files in _cgroups(root):
        limit, used = _number(folder / files.limit), _number(folder / files.used)
        if limit is not None and used is not None:
            # The file cache is counted as used, and given back before the limit is reached.
            used -= _field(folder / "memory.stat", files.cache)
            available = min(available, max(limit - used, 0))
    return available


@dataclass(frozen=True)
class _Files:
    """How one version of control groups calls what it tells."""

    limit: str
    used: str
    cache: str


_V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = _Files("memory.max", "memory.current", "inactive_file")


def _cgroups(root: Path) -> Iterator[tuple[Path, _Files]]:
    """The process's own control groups and all above them; each may have a limit.

    A container often sees its own group as the topmost, whatever path the process is given.
    """
    own = root / "proc/self/cgroup"
    for line in own.read_text().splitlines() if own.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        files = _V1 if controllers else _V2
        top = root / "sys/fs/cgroup" / controllers
        folder = top / path.lstrip("/")
        for group in (folder, *folder.parents):
            if group.is_relative_to(top):
                yield group, files


def _psutil() -> Any:
    return importlib.import_module("psutil")  # a dependency on systems other than Linux


def _number(path: Path) -> int | None:
    """A file's number; None without the file, and where it says ``max``."""
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text.isdecimal() else None


def _field(path: Path, name: str) -> int:
    """The number of a line like ``MemAvailable:  1234 kB``; 0 where there is none."""
    for line in path.read_text().splitlines() if path.exists() else ():
        words = line.split()
        if words and words[0] == name:
            return int(words[1])
    return 0
