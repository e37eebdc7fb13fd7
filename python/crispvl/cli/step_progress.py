"""How far work goes that counts in steps or bytes, as a line on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType


def megabytes(n_done: int, n_total: int) -> str:
    """Returns how much of the bytes is done."""
    return f"{n_done / 1e6:.0f} of {n_total / 1e6:.0f} MB  "


class StepProgress:
    """A line that is drawn again a few times a second on a terminal; silent elsewhere.

    Args:
        amount: Says what is done and in total, for work where a percentage is too little.
    """

    def __init__(self, amount: Callable[[int, int], str] = lambda *_: "") -> None:
        self._amount = amount
        self._next_s = 0.0
        self._drawn = False

    def __call__(self, name: str, n_done: int, n_total: int) -> None:
        now = time.monotonic()
        if not sys.stderr.isatty() or (now < self._next_s and n_done < n_total):
            return
        self._next_s = now + 0.1
        self._drawn = True
        line = f"{100 * n_done // max(n_total, 1):3d}%  {self._amount(n_done, n_total)}{name}"
        print(f"\r\x1b[K{line[:79]}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> StepProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._drawn:
            print(file=sys.stderr)
