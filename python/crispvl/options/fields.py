"""A field of options: what the command line says of it, and what values it takes."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping
from dataclasses import field, fields, replace
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, TypeVar

Options = TypeVar("Options", bound=Any)

MOST_SECONDS = 1e6
"""Of a time limit: eleven days; systems cannot wait for much longer."""


def option(
    default: Any, help_text: str, parse: Callable[[str], Any] | None = None, metavar: str = ""
) -> Any:
    """Returns a field; ``parse`` reads it on the command line where its type is not enough."""
    return field(default=default, metadata={"help": help_text, "parse": parse, "metavar": metavar})


def fraction(text: str) -> float:
    """Reads ``1/4`` and ``0.25`` alike."""
    try:
        return float(Fraction(text))
    except (ValueError, ArithmeticError) as error:  # 1/0 and 1e999 too
        raise ValueError(
            f"[options] expected a number such as 1/4; found {text!r}; write it so"
        ) from error


def check(name: str, value: Any, kind: type, expected: str, accepts: Callable[[Any], bool]) -> None:
    """Raises TypeError for a value of another type, ValueError for one that is not accepted."""
    is_kind = isinstance(value, (int, float) if kind is float else kind)
    if not is_kind or (isinstance(value, bool) and kind is not bool):
        raise TypeError(
            f"[options] expected {name} of type {kind.__name__}; found {value!r}; change it"
        )
    if (kind is float and not abs(value) < math.inf) or not accepts(value):
        raise ValueError(f"[options] expected {name} to be {expected}; found {value!r}; change it")


def with_values(options: Options, values: Mapping[str, Any]) -> Options:
    """Returns options with other values of some fields.

    Raises:
        TypeError: There is no such field.
    """
    names = [field.name for field in fields(options)]
    for name in values:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            raise TypeError(
                f"[options] expected a field of {type(options).__name__}; found {name!r}; "
                + (f"did you mean {close[0]}?" if close else "leave it out")
            )
    return replace(options, **values)


def check_optional_count(name: str, value: Any) -> None:
    """Checks a count that may be None."""
    if value is not None:
        check(name, value, int, "at least 1", lambda v: v >= 1)


def single(value: float) -> float:
    """Returns the value as the core computes with it, in 32 bits."""
    return ctypes.c_float(value).value
