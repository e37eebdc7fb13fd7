"""What a template of a model file may cost: sizes of values, steps and time, for one rendering."""

from __future__ import annotations

import time
from collections.abc import ItemsView, Iterable, Iterator, KeysView, ValuesView
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jinja2
from jinja2.utils import Namespace

MAX_VALUE = 1_000_000
"""Characters and elements of a value, beside those of the messages."""

MAX_DEPTH = 200
"""Of values within values."""

_CHARACTERS = 64  # of a value, that cost a step

MAX_STEPS = 1_000_000
"""Operations and elements of loops in one rendering."""

MAX_SECONDS = 5.0
"""Of the thread's own time in one rendering."""


class LimitError(jinja2.TemplateError):
    """A template costs more than one can."""


class _Budget:
    """What is left to one rendering."""

    def __init__(self, given: int) -> None:
        self.max_value = MAX_VALUE + 8 * given
        self._steps = MAX_STEPS + 8 * given
        self._end = time.thread_time() + MAX_SECONDS

    def spend(self, n_steps: int) -> None:
        self._steps -= n_steps
        if self._steps < 0:
            raise LimitError(f"takes more than {MAX_STEPS} steps")
        if time.thread_time() > self._end:
            raise LimitError(f"takes more than {MAX_SECONDS:.0f} s")

    def check(self, size: int) -> None:
        if size > self.max_value:
            raise LimitError(f"makes a value of more than {self.max_value} characters")


_budget: ContextVar[_Budget] = ContextVar("budget")


@contextmanager
def bounded(given: Any = ()) -> Iterator[None]:
    """Bounds what templates cost in the block; values may be larger for larger messages."""
    token = _budget.set(_Budget(1 << 40))
    try:
        _budget.set(_Budget(size_of(given)))
        yield
    finally:
        _budget.reset(token)


def spend(n_steps: int) -> None:
    """Counts steps of the rendering that is under way."""
    _budget.get().spend(n_steps)


def check_size(size: int) -> None:
    """Refuses a value of so many characters and elements, before it is made."""
    _budget.get().check(size)


def checked(value: Any) -> Any:
    """Returns a result that is not too large."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise LimitError("computes a number that is too large")
    size_of(value)
    return value


def size_of(value: Any) -> int:
    """Returns how many characters and elements a value has, those within it included.

    Counting them costs steps, and a value that is too large is refused.
    """
    budget = _budget.get()
    total, n_seen, level = 0, 0, [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for each in level:
            total += len(each) if isinstance(each, (str, bytes)) else 1
            deeper.extend(_within(each))
            budget.check(total + len(deeper))
        n_seen += len(level)
        if not deeper:
            budget.spend(n_seen + total // _CHARACTERS)
            return total
        level = deeper
    raise LimitError("makes a value that is nested too deeply")


def _within(value: Any) -> Iterable[Any]:
    """Returns the values within one."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, Namespace):
        return list(value._Namespace__attrs.values())
    if isinstance(value, (list, tuple, set, frozenset, KeysView, ValuesView, ItemsView)):
        return value
    return ()


def concat(pieces: Iterable[str]) -> str:
    """Returns pieces as one text that is not too long."""
    taken, total, budget = [], 0, _budget.get()
    for piece in pieces:
        taken.append(piece)
        total += len(piece)
        budget.check(total)
        budget.spend(1 + len(piece) // _CHARACTERS)
    return "".join(taken)
