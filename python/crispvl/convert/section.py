"""A JSON object of a checkpoint, read by field with errors that name the file and the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from crispvl.errors import ModelFileError

T = TypeVar("T")

# As in the engine: products of four such counts fit 64 bits.
LARGEST_COUNT = 1 << 24

# As in the engine: ten times what any model has; bounds the memory for the names of tensors.
MOST_LAYERS = 1024

# As in the engine: four times what any model has.
MOST_EXPERTS = 2048

_LARGEST_NUMBER = 3.4e38  # of float32, in which the file holds them

_NAMES: dict[type, str] = {bool: "true or false", int: "an integer", float: "a number", str: "text"}


class Section:
    """One object of ``config.json``, with the values its model class assumes for absent keys.

    Args:
        values: The JSON object.
        where: How messages call it, for example ``config.json: vision_config``.
        defaults: Values for keys that the file leaves out.
    """

    def __init__(
        self, values: Mapping[str, Any], where: str, defaults: Mapping[str, Any] | None = None
    ) -> None:
        self._values = {**(defaults or {}), **values}
        self.where = where

    def child(self, key: str, defaults: Mapping[str, Any] | None = None) -> Section:
        """The object under ``key``; an absent one is an error."""
        value = self._values.get(key)
        if not isinstance(value, Mapping):
            raise self.error(key, "an object", value)
        return Section(value, f"{self.where}: {key}", defaults)

    def raw_values(self) -> Mapping[str, Any]:
        """All keys and values."""
        return self._values

    def raw(self, key: str) -> Any:
        """The JSON value as it is, or None."""
        return self._values.get(key)

    def has(self, key: str) -> bool:
        """Whether the key has a value other than null."""
        return self._values.get(key) is not None

    def integer(self, key: str) -> int:
        """A whole number; of a pair like ``[448, 448]`` the common value."""
        value = self._values.get(key)
        if isinstance(value, list) and value and all(v == value[0] for v in value):
            value = value[0]
        return self._typed(key, value, int)

    def count(self, key: str, most: int = LARGEST_COUNT) -> int:
        """A whole number of at least one: a size."""
        value = self.integer(key)
        if value < 1:
            raise self.error(key, "at least 1", value)
        if value > most:
            raise self.error(key, f"at most {most}", value)
        return value

    def number(self, key: str) -> float:
        """A number as float; one that is not finite is none."""
        value = self.raw(key)
        if not is_number(value):
            raise self.error(key, _NAMES[float], value)
        return float(value)

    def text(self, key: str) -> str:
        """A string."""
        return self._typed(key, self._values.get(key), str)

    def boolean(self, key: str) -> bool:
        """A truth value."""
        return self._typed(key, self._values.get(key), bool)

    def expect(self, key: str, *allowed: Any) -> None:
        """Refuses every value of ``key`` but those the engine computes."""
        value = self._values.get(key)
        if value not in allowed:
            raise self.error(key, " or ".join(repr(a) for a in allowed), value)

    def error(self, key: str, expected: str, found: Any) -> ModelFileError:
        """The error for a value that cannot be used."""
        shown = "nothing" if found is None else repr(found)
        return ModelFileError(
            f"[{self.where}] expected '{key}' to be {expected}; found {shown}; "
            "this checkpoint needs something the engine does not do, or its file is damaged"
        )

    def _typed(self, key: str, value: Any, kind: type[T]) -> T:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.error(key, _NAMES[kind], value)
        return value


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number that a float32 holds."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER
    )
