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
        self._done = threading.Event()
        if limit_s is None:
            return
        from crispvl import _core

        self._cancel = cancel
        self._end = time.monotonic() + limit_s
        self.token = _core.CancelToken()
        threading.Thread(target=self._watch, name="crispvl-deadline", daemon=True).start()

    def __enter__(self) -> Deadline:
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _watch(self) -> None:
        assert self.token is not None
        while True:
            left_s = self._end - time.monotonic()
            cancelled = self._cancel is not None and self._cancel.cancelled
            if cancelled or left_s <= 0:
                self.expired = not cancelled
                self.token.cancel()
                return
            if self._done.wait(left_s if self._cancel is None else min(left_s, _LOOK_S)):
                return
