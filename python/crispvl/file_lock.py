"""A file that one run writes at a time. The system lets go of it when the process ends, however."""

from __future__ import annotations

import errno
import os
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from crispvl.inputs.pipes import refuse_stream

if sys.platform != "win32":
    import fcntl
else:
    import msvcrt

_HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_BEYOND = 1 << 40  # a byte that nobody writes, for Windows, where a locked one cannot be read

_FLOCK = {"linux": ("hhqqi", 0, 4), "darwin": ("qqihh", 3, 2)}
"""Per system, the layout of its ``struct flock`` and the places of type and process in it."""


def open_locked(path: Path, output: Path | None = None) -> IO[bytes]:
    """Opens a file for appending, unbuffered, as the only run that writes it.

    Args:
        path: Of the file; made if it is not there.
        output: What the file stands for, such as its folder, if that is not itself.

    Raises:
        ValueError: Another run writes it; says which process that is, where the system tells. Or it
            is a FIFO or a device.
    """
    refuse_stream(path)
    while True:
        file = path.open("a+b", buffering=0)
        try:
            _lock(file, output or path)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # another run put a new file in its place meanwhile


def _lock(file: IO[bytes], output: Path) -> None:
    try:
        if sys.platform == "win32":
            file.seek(_BEYOND)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0, os.SEEK_END)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(OSError):  # a lock of the other kind, only to tell who has it
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            return  # a file system without locks
        raise ValueError(
            f"[{output}] expected an output that no other run writes; found {_holder(file)} "
            "writing it; wait until it is done, or give another output"
        ) from None


def _holder(file: IO[bytes]) -> str:
    if sys.platform != "win32" and sys.platform in _FLOCK:
        layout, at_type, at_process = _FLOCK[sys.platform]
        fields = [0] * 5
        fields[at_type] = fcntl.F_WRLCK
        with suppress(OSError, struct.error):
            answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(layout, *fields))
            found = struct.unpack(layout, answer)
            if found[at_type] != fcntl.F_UNLCK and found[at_process] > 0:
                return f"process {found[at_process]}"
    return "another run"
