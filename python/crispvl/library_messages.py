"""What other libraries tell programmers, kept from the terminals of our own programs.

Pillow warns of tags of a file that it passed over. What of it matters to a page is told with the
page, as its flags and remarks.
"""

from __future__ import annotations

import logging
import sys
import warnings

_NOT_OURS = r"(?!crispvl\b)"


def silence_libraries() -> None:
    """Lets only our warnings through, for the rest of the process, which must be ours.

    Whoever asks Python for more warnings (``-W``, ``PYTHONWARNINGS``) gets them.
    """
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # it raises what it logs as an error
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=_NOT_OURS)
