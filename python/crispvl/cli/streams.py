"""Standard streams: UTF-8, and errors of theirs told by the command instead of the interpreter."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress

from crispvl.results.outputs import NO_ROOM

_TAKES_NO_MORE = (*NO_ROOM, errno.EIO)


def settle_streams() -> None:
    """Puts the null device where a standard stream is closed; the others write UTF-8."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and hasattr(stream, "reconfigure"):
            # A path that is no UTF-8 must not end the command that names it.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def abandon_what_cannot_be_written() -> None:
    """Lets the null device take what a standard stream still holds and cannot write.

    Python would try once more at exit, print an error of its own and change the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # the latter where it was closed
            with suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)


def output_error(error: OSError) -> str:
    """Returns an error's message, the system's own in our form.

    Of one that names no file, that it is standard output's.
    """
    found = repr(error.strerror)
    if error.errno in _TAKES_NO_MORE:
        return (
            f"[{_path(error) or 'standard output'}] expected it to take what is written; found "
            f"{found}; make room, or write elsewhere"
        )
    if error.errno is not None and _path(error):
        return (
            f"[{_path(error)}] expected a path that can be used; found {found}; correct it, or "
            "name another"
        )
    return str(error)


def _path(error: OSError) -> str | None:
    name = error.filename
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else None
