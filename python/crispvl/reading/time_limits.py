"""What ends the work on pages, documents and answers: tokens and time limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crispvl._core import CancelToken


def limited(cancel: CancelToken | None, limit_s: float | None) -> CancelToken | None:
    """Returns a token that is cancelled with another, or this many seconds from now."""
    from crispvl._core import CancelToken

    return cancel if limit_s is None else CancelToken(cancel, limit_s)


def shortest(*limits_s: float | None) -> float | None:
    """Returns the least of some limits; None is no limit."""
    return min((limit_s for limit_s in limits_s if limit_s is not None), default=None)


def new_token() -> CancelToken:
    """Returns a token for work that was given none."""
    from crispvl._core import CancelToken

    return CancelToken()
