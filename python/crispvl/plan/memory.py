"""Memory of this process and of this machine."""

from __future__ import annotations

import sys
from pathlib import Path


def process_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        return _field(status, "VmRSS:")
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 0


def available_bytes() -> int | None:
    """Host memory that can still be used, a container's limit respected; None if unknown."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return None
    available = _field(meminfo, "MemAvailable:")
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and (text := limit.read_text().strip()) != "max":
        available = min(available, max(int(text) - int(used.read_text()), 0))
    return available


def _field(path: Path, name: str) -> int:
    """A line like ``MemAvailable:  1234 kB``, in bytes."""
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0
