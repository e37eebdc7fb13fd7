"""The command ``crispvl``, also as ``python -m crispvl``."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def main() -> int:
    """Runs the command line and returns its exit code. Ctrl-C ends it without a traceback."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    from crispvl.cli import main as run

    signal.signal(signal.SIGINT, before)
    return run()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """Ends the process at once: nothing is begun while modules are imported."""
    os.write(2, b"crispvl: interrupted\n")
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
