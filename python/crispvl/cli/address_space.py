"""A limit of the process's address space (``ulimit -v``), told before libraries stumble over it.

Where numpy's OpenBLAS finds too little, it ends the process or sends it a signal; other libraries
raise whatever comes first. Nobody above could say what is wrong.
"""

from __future__ import annotations

import os
import sys

from crispvl.errors import OutOfMemoryError

_LIBRARIES_MIB = 112  # numpy, Pillow and our own core, of which little is ever touched
_THREAD_MIB = 40  # of OpenBLAS: a buffer and a stack
_MOST_THREADS = 64  # that it is built for


def require_address_space() -> None:
    """Raises OutOfMemoryError where the libraries of the commands would not fit."""
    if sys.platform == "win32":  # which has no such limit
        return
    import mmap

    n_mib = _LIBRARIES_MIB + _THREAD_MIB * min(_n_threads(), _MOST_THREADS)
    try:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        mmap.mmap(-1, n_mib << 20, flags, mmap.PROT_READ).close()  # reserves, and takes no memory
    except OSError as error:
        raise OutOfMemoryError(
            f"[memory] expected {n_mib} MiB of address space beside what Python takes; found less; "
            "raise the limit (ulimit -v), or have fewer threads (OPENBLAS_NUM_THREADS=1)"
        ) from error


def _n_threads() -> int:
    """Returns how many threads OpenBLAS starts when it is loaded."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        if (wanted := os.environ.get(name, "")).isdecimal() and int(wanted) > 0:
            return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
