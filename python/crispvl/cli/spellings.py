"""Which names mean the same document, however they are spelled."""

from __future__ import annotations

import os

from crispvl.inputs.data_uri import is_data_uri
from crispvl.inputs.urls import is_url


def document_key(name: str) -> str:
    """Returns what is the same for ``scans/a.png``, ``./scans//a.png`` and its whole path."""
    if name == "-" or is_url(name) or is_data_uri(name):
        return name
    return os.path.abspath(name)
