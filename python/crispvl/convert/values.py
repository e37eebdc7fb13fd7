"""JSON values outside of any one section, read with errors that name the file they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crispvl.errors import ModelFileError

# Four times the largest vocabulary; bounds the memory for ids that no token has.
MOST_TOKENS = 1 << 20


def wrong(where: str, expected: str, found: Any) -> ModelFileError:
    """The error for a value that cannot be used."""
    return ModelFileError(
        f"[{where}] expected {expected}; found {found!r}; download the file again"
    )


def whole_number(value: Any, where: str) -> int:
    """A whole number, of any size."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong(where, "a token id", value)
    return value


def token_id(value: Any, where: str) -> int:
    """A token's id; as the key of an object it is text."""
    is_key = isinstance(value, str) and value.isdecimal()
    number = whole_number(int(value) if is_key else value, where)
    if not 0 <= number < MOST_TOKENS:
        raise wrong(where, f"a token id from 0 to {MOST_TOKENS - 1}", value)
    return number


def id_list(value: Any, where: str) -> tuple[int, ...]:
    """Whole numbers of a field that holds null, one or a list of them."""
    ids = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(whole_number(i, where) for i in ids)


def text(value: Any, where: str) -> str:
    """Text."""
    if not isinstance(value, str):
        raise wrong(where, "text", value)
    return value


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """An object; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise wrong(where, "an object", value)
    return value


def sequence(value: Any, where: str) -> Sequence[Any]:
    """A list; null is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(where, "a list", value)
    return value
