"""What libtiff says while Pillow decodes with it: noted, and kept from the terminal."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

from PIL import _imaging


class TiffMessages:
    """A context within which this thread's messages of libtiff are noted instead of printed.

    Where Pillow's libtiff cannot be reached, as in a Pillow that holds it within itself, they are
    printed as before. Contexts do not nest.

    Attributes:
        tell_damage: Behind the context, whether one was about the pixels.
    """

    tell_damage = False

    def __enter__(self) -> TiffMessages:
        self._core = _listener()
        if self._core is not None:
            self._core.listen_to_libtiff()
        return self

    def __exit__(self, *_: object) -> None:
        if self._core is not None:
            self.tell_damage = self._core.listen_no_more_to_libtiff()


def _listener() -> Any:
    """Returns the core once it hears libtiff; None where it cannot."""
    try:
        from crispvl import _core
    except ImportError:
        return None
    return _core if _hears(_core) else None


@cache
def _hears(core: Any) -> bool:
    """Lets a core follow the libtiff that Pillow uses; returns whether it can."""
    try:
        pillow = ctypes.CDLL(_imaging.__file__)  # what it is linked with is found in it as well
        setters = pillow.TIFFSetErrorHandler, pillow.TIFFSetWarningHandler
        core.follow_libtiff(*(_address(setter) for setter in setters))
    except (OSError, AttributeError):
        return False
    return True


def _address(function: Callable[..., Any]) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value  # type: ignore[arg-type]
