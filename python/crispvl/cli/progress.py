"""How far work is, as a line on standard error that tqdm draws, while somebody looks at it."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, TypeVar

from tqdm import tqdm

from crispvl.cli import complain
from crispvl.events import Event, PageDone
from crispvl.progress import ProgressMeter

Line = TypeVar("Line", bound="StatusLine")


class StatusLine:
    """A line that is redrawn at most ten times a second on a terminal; silent elsewhere.

    Args:
        shown: Whether to draw at all.
        **style: Of tqdm; without it, the line is its description only.
    """

    def __init__(self, shown: bool = True, **style: Any) -> None:
        self._bar: Any = None
        if shown and sys.stderr.isatty():
            style = {"bar_format": "{desc}", **style}
            self._bar = tqdm(
                file=sys.stderr, leave=False, dynamic_ncols=True, miniters=1, mininterval=0.1,
                **style,
            )  # fmt: skip

    @property
    def is_drawn(self) -> bool:
        return self._bar is not None

    def show(self, text: str) -> None:
        """Shows a text, soon."""
        if self._bar is not None:
            self._bar.set_description_str(text, refresh=False)
            self._bar.update()

    def __enter__(self: Line) -> Line:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()


class StepProgress(StatusLine):
    """A bar for work that counts in steps, or in bytes where ``unit`` is ``B``."""

    def __init__(self, unit: str = "") -> None:
        super().__init__(bar_format="{l_bar}{bar}{r_bar}", unit=unit, unit_scale=unit == "B")

    def __call__(self, name: str, n_done: int, n_total: int) -> None:
        if self._bar is not None:
            self._bar.total = n_total
            self._bar.set_postfix_str(name, refresh=False)
            self._bar.update(n_done - self._bar.n)


class ProgressLine(StatusLine):
    """Shows documents and pages as they come; a line per page where no terminal is.

    Args:
        n_documents: How many there will be.
        shown: Whether to show anything at all.
    """

    def __init__(self, n_documents: int, shown: bool) -> None:
        super().__init__(shown)
        self._n_documents = n_documents
        self._i_document = 0
        self._name = ""
        self._meter = ProgressMeter()
        self._shown = shown

    def begin(self, name: str) -> None:
        """Says which document comes now."""
        self._i_document += 1
        self._name = name

    def __call__(self, event: Event) -> None:
        self._meter(event)
        if self.is_drawn:
            self.show(self._line())
        elif self._shown and isinstance(event, PageDone):
            complain(self._line())

    def _line(self) -> str:
        which = f"[{self._i_document}/{self._n_documents}] " if self._n_documents > 1 else ""
        return f"{which}{self._name}: {self._meter}"
