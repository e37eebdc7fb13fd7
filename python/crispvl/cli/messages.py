"""What reaches the terminal of warnings and logs: ours, and only the errors of other libraries."""

from __future__ import annotations

import logging
import sys
import warnings

from crispvl.library_messages import silence_libraries


def settle_messages() -> None:
    """Lets our warnings and log through to standard error, in our form."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr, level=logging.ERROR)
    logging.getLogger("crispvl").setLevel(logging.WARNING)
    warnings.formatwarning = lambda message, *_: f"crispvl: {message}\n"  # without our source line
    silence_libraries()
