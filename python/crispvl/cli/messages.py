"""What reaches the terminal of warnings and logs: ours, and only the errors of other libraries.

Theirs are for programmers: Pillow tells which tag of a file it passed over, img2pdf which colour
profile. What of it matters to a page is told with the page, as its flags and remarks.
"""

from __future__ import annotations

import logging
import sys
import warnings

_NOT_OURS = r"(?!crispvl\b)"


def settle_messages() -> None:
    """Lets our warnings and log through to standard error, in our form.

    Whoever asks Python for more warnings (``-W``, ``PYTHONWARNINGS``) gets them.
    """
    logging.basicConfig(format="%(message)s", stream=sys.stderr, level=logging.ERROR)
    logging.getLogger("crispvl").setLevel(logging.WARNING)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # it raises what it logs as an error
    warnings.formatwarning = lambda message, *_: f"crispvl: {message}\n"  # without our source line
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=_NOT_OURS)
