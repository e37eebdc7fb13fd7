"""Time limits that act within an encode or a prefill, through the token that cancels them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crispvl._core import CancelToken

_LOOK_S = 0.01  # how often a caller's own token is looked at while a limit runs


class Deadline:
    """Hands the core one token that is cancelled by the caller's or by the clock.

    The clock runs from now on; it is looked at within ``with``, which may be entered repeatedly.

    Args:
        cancel: The caller's token.
        limit_s: Seconds from now; None means no limit.

    Attributes:
        token: What to pass to the core; the caller's own where there is no limit.
        expired: Whether the time was what cancelled.
    """

    def __init__(self, cancel: CancelToken | None, limit_s: float | None) -> None:
        self.expired = False
        self.token = cancel
        self._cancel = cancel
        self._end: float | None = None
        if limit_s is None:
            return
        from crispvl import _core

        self._end = time.monotonic() + limit_s
        self.token = _core.CancelToken()

    def __enter__(self) -> Deadline:
        self._done = threading.Event()
        if self._end is not None:
            watch = threading.Thread(
                target=self._watch, args=(self._end, self._done), name="crispvl-deadline",
                daemon=True,
            )  # fmt: skip
            watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _watch(self, end: float, done: threading.Event) -> None:
        assert self.token is not None
        while True:
            left_s = end - time.monotonic()
            cancelled = self._cancel is not None and self._cancel.cancelled
            if cancelled or left_s <= 0:
                self.expired = not cancelled
                self.token.cancel()
                return
            if done.wait(left_s if self._cancel is None else min(left_s, _LOOK_S)):
                return


def shortest(*limits_s: float | None) -> float | None:
    """Returns the least of some limits, of which None is none."""
    return min((limit_s for limit_s in limits_s if limit_s is not None), default=None)
