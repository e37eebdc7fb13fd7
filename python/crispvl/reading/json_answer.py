"""The JSON value that is meant in a model's answer, which may say other things around it.

What a model quotes, drafts or began and did not finish is no answer: a value within one that is
damaged, a draft in ``<think>``, a fence that a later one replaces, a reference such as ``[1]``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from crispvl.inputs.utf8 import check_encodable


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _refuse(number)


# Python would take NaN and Infinity, and make the latter of 1e999.
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
_THOUGHT = re.compile(r"\A.*</think>|<think>.*\Z", re.DOTALL)  # many templates open it themselves
_FENCE = re.compile(r"```([^\n`]*)\n(.*?)(?:```|\Z)", re.DOTALL)
_JSON_FENCES = ("", "json", "json5", "jsonc")


def find_json(text: str) -> Any:
    """Returns the JSON value that an answer gives: all of it, its last fence, or its last object.

    Raises:
        ValueError: There is none, it is nested too deeply, or holds what is no Unicode.
    """
    try:
        value = _find(text)
        check_encodable(json.dumps(value, ensure_ascii=False))  # an escape may be half a pair
        return value
    except RecursionError:
        raise ValueError("no JSON was found (it is nested too deeply)") from None


def _find(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except ValueError:
        text = _THOUGHT.sub("", text)
    fences = _FENCE.findall(text)
    in_json = [body for kind, body in fences if kind.strip().lower() in _JSON_FENCES]
    body = (in_json[-1] if in_json else _FENCE.sub("", text)).strip()
    try:
        return _DECODER.decode(body)
    except ValueError as error:
        for value in reversed([*_values(body)]):
            return value
        raise ValueError(f"no JSON was found ({error})") from None


def _values(text: str) -> Iterator[Any]:
    """Yields the objects between words, and the lists that have their lines to themselves."""
    start: int | None = 0
    while start is not None and (bracket := re.compile(r"[{\[]").search(text, start)):
        begin = bracket.start()
        try:
            value, start = _DECODER.raw_decode(text, begin)
        except ValueError:
            start = _closing(text, begin)
            continue
        if isinstance(value, dict) or _is_alone(text, begin, start):
            yield value


def _is_alone(text: str, begin: int, end: int) -> bool:
    before = text[:begin].rpartition("\n")[2]
    after = text[end:].partition("\n")[0]
    return not before.strip() and not after.strip()


def _closing(text: str, begin: int) -> int | None:
    """Returns where what a bracket opens is closed again; None where it never is."""
    depth = 0
    for mark in re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL).finditer(text, begin):
        if mark[0][0] in "{[":
            depth += 1
        elif mark[0] in ("}", "]"):
            depth -= 1
            if depth == 0:
                return mark.end()
    return None
