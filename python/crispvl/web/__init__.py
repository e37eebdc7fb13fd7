"""The page that shows a document: a server's, which has it read, and a file's, which holds it.

Both are made of the same template, styles and scripts of this folder, without a build step, and
load nothing from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

import jinja2

_VIEWER = ("dom.js", "sheet.js", "text.js", "viewer.js", "downloads.js")
_SERVER = (*_VIEWER, "stream.js", "questions.js", "password.js", "reader.js")
_FILE = (*_VIEWER, "opened.js")


def asset(name: str) -> bytes:
    """Returns a file of this folder."""
    return files(__package__).joinpath(name).read_bytes()


def server_page() -> str:
    """Returns the page of a server, which loads its parts from ``static/``."""
    return _template().render(
        title="crispvl", heading="crispvl", icon="static/icon.svg", scripts=_SERVER, document=None
    )


def document_page(title: str, document: Mapping[str, Any]) -> str:
    """Returns a page that holds a document, as one file.

    Args:
        title: Of the file.
        document: As `crispvl.Document.to_dict` gives it; each page also has its picture, as a
            ``data:`` address, in ``image``, and ``files`` holds the formats that can be saved, by
            the names of `crispvl.results.formats`.
    """
    style, script = _joined(["page.css"]), _joined(_FILE)
    policy = (
        f"default-src 'none'; img-src data:; script-src '{_hash(script)}'; "
        f"style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'"
    )
    icon = "data:image/svg+xml;base64," + base64.b64encode(asset("icon.svg")).decode()
    return _template().render(
        title=title, heading=title, icon=icon, policy=policy, style=style, script=script,
        document=document,
    )  # fmt: skip


def _joined(names: Sequence[str]) -> str:
    return "\n".join(asset(name).decode("utf-8") for name in names)


def _hash(text: str) -> str:
    """Returns what a content security policy calls an inline script or style by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(asset("page.html.j2").decode("utf-8"))
