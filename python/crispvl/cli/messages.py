"""What reaches the terminal of warnings and logs: ours, and only the errors of other libraries."""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import suppress

from crispvl.library_messages import silence_libraries


def settle_messages() -> None:
    """Lets our warnings and log through to standard error, in our form."""
    handlers = [_AboveProgress()]
    logging.basicConfig(format="%(message)s", handlers=handlers, level=logging.ERROR)
    logging.getLogger("crispvl").setLevel(logging.WARNING)
    warnings.formatwarning = lambda message, *_: f"crispvl: {message}\n"  # without our source line
    silence_libraries()


class _AboveProgress(logging.Handler):
    """Writes above a progress line, if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        with suppress(OSError), tqdm.external_write_mode(sys.stderr):
            print(self.format(record), file=sys.stderr, flush=True)
