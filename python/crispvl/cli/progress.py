"""A line on standard error that shows how far the work is, while somebody looks at it."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from crispvl.events import Event, PageDone
from crispvl.progress import ProgressMeter

_LOOK_S = 0.1  # between two redrawings


class ProgressLine:
    """Shows documents and pages as they come; with rich where that is installed.

    Args:
        n_documents: How many there will be.
        shown: Whether to show anything at all.
    """

    def __init__(self, n_documents: int, shown: bool) -> None:
        self._n_documents = n_documents
        self._i_document = 0
        self._name = ""
        self._meter = ProgressMeter()
        self._shown = shown
        self._drawn = 0.0
        self._status = _rich_status() if shown else None

    def __enter__(self) -> ProgressLine:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def begin(self, name: str) -> None:
        """Says which document comes now."""
        self._i_document += 1
        self._name = name

    def __call__(self, event: Event) -> None:
        self._meter(event)
        if not self._shown:
            return
        if self._status is None:
            if isinstance(event, PageDone):  # without rich: a line per page
                print(f"crispvl: {self._line()}", file=sys.stderr, flush=True)
        elif time.monotonic() - self._drawn > _LOOK_S:
            self._drawn = time.monotonic()
            self._status.update(self._line())

    def _line(self) -> str:
        which = f"[{self._i_document}/{self._n_documents}] " if self._n_documents > 1 else ""
        return f"{which}{self._name}: {self._meter}"


def _rich_status() -> Any:
    try:
        from rich.console import Console
        from rich.markup import escape
        from rich.status import Status
    except ImportError:
        return None
    console = Console(stderr=True)
    if not console.is_terminal:
        return None

    class Line(Status):
        def update(self, status: Any = None, **arguments: Any) -> None:
            super().update(None if status is None else escape(status), **arguments)

    return Line("loading the model", console=console)
