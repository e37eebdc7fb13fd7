"""What tells whether a file is still the one that was read, without opening it."""

from __future__ import annotations

import os
import stat

UNKNOWN = ""
"""The version of what cannot be asked for one, such as a web address or a pipe."""


def file_version(source: str | os.PathLike[str]) -> str:
    """The version of a file on a disk; `UNKNOWN` of whatever else a document may come from.

    The time of the last change of its entry counts too, since no program can set that one back.
    """
    try:
        status = os.stat(source)
    except (OSError, ValueError):  # as of a link that leads nowhere or in a circle
        return UNKNOWN
    if not stat.S_ISREG(status.st_mode):
        return UNKNOWN
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def was_changed(then: str | None, now: str) -> bool:
    """Returns whether a document is known to be another than it was."""
    return bool(then) and now != UNKNOWN and then != now
