"""How much forms draw that draw forms: thirty levels of two each are more than anybody can draw."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pikepdf
from pikepdf import Dictionary, Name, Object, Stream

_DRAWN = re.compile(rb"(/[^\s/<>\[\](){}%]*)\s+Do\b")
_MAX_DEPTH = 40


class FormLengths:
    """Counts bytes of operators, those of a form as often as it is drawn.

    Args:
        unpack: Returns a form's operators.
        most: What is counted up to; beyond it, some larger number is returned.
    """

    def __init__(self, unpack: Callable[[Stream], bytes], most: int) -> None:
        self._unpack = unpack
        self._most = most
        self._known: dict[tuple[int, int], int] = {}

    def length(self, operators: bytes, resources: Any, depth: int = 0) -> int:
        """Returns the length of operators and of all that they draw.

        Args:
            operators: Of a page or a form.
            resources: What they name.
            depth: Forms around them.
        """
        total = len(operators)
        drawn = Counter(_DRAWN.findall(operators)) if b"Do" in operators else {}
        for name, n_times in drawn.items():
            form = _form(name, resources)
            if form is not None:
                total += n_times * self._form_length(form, resources, depth + 1)
        return min(total, self._most + 1)

    def _form_length(self, form: Stream, resources: Any, depth: int) -> int:
        if depth > _MAX_DEPTH:  # nor would it be drawn
            return 0
        known = self._known.get(form.objgen)
        if known is None:
            self._known[form.objgen] = 0  # one that draws itself is drawn once
            own = form.get("/Resources", resources)
            known = self._known[form.objgen] = self.length(self._unpack(form), own, depth)
        return known


def _form(name: bytes, resources: Any) -> Stream | None:
    """Returns the form of a name, however the name is written."""
    objects = resources.get("/XObject") if isinstance(resources, Dictionary) else None
    found: Any = None
    if isinstance(objects, Dictionary):
        with suppress(pikepdf.PdfError, ValueError):
            found = objects.get(str(Object.parse(name)))
    is_form = isinstance(found, Stream) and found.get("/Subtype") == Name.Form
    return found if is_form else None
