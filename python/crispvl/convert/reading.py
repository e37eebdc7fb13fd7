"""What a checkpoint says about how its model reads: ``crispvl.json``, which has no other reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crispvl.convert.chat import PROMPT_NAMES, check_prompts
from crispvl.convert.files import CheckpointFiles
from crispvl.errors import ModelFileError
from crispvl.layout.strip_format import STRIP_KEYS

FILE_NAME = "crispvl.json"
_MOST_PX = 1 << 16  # also of rows: more than any tile has


@dataclass(frozen=True)
class Reading:
    """How a model was trained to read.

    Attributes:
        prompts: What it was trained to be asked, by task.
        strips: How lines fill a tile, by the fields of `StripFormat`; None for a model that was
            not trained on lines.
    """

    prompts: Mapping[str, str]
    strips: Mapping[str, int] | None


NOTHING_TOLD = Reading({}, None)


def check_strips(strips: Mapping[str, int]) -> None:
    """Refuses what no strip format has.

    Raises:
        ValueError: Another field, or a value that is no number of pixels or rows.
    """
    unknown = sorted(strips.keys() - STRIP_KEYS.keys())
    if unknown:
        raise ValueError(
            f"[convert] expected strips by {', '.join(STRIP_KEYS)}; found {', '.join(unknown)}; "
            "leave it out"
        )
    _check_sizes(strips, _argument_error)


def check_reading(reading: Reading) -> None:
    """Refuses what a caller cannot have meant.

    Raises:
        ValueError: A prompt of an unknown name, or strips of which no tile can be made.
    """
    check_prompts(reading.prompts)
    check_strips(reading.strips or {})


def read_reading(files: CheckpointFiles, told: Reading) -> Reading:
    """Returns what the caller told and, for the rest, what the checkpoint's ``crispvl.json`` says.

    Raises:
        ModelFileError: The file holds something else than prompts and strips.
    """
    data = files.json(FILE_NAME) or {}
    _check_names("the file", data, ("prompts", "strips"))
    prompts = _object("prompts", data, PROMPT_NAMES)
    for name, prompt in prompts.items():
        if not isinstance(prompt, str):
            raise _error(f"text for the prompt '{name}'", prompt)
    strips = _object("strips", data, tuple(STRIP_KEYS))
    _check_sizes(strips, _error)
    own = strips if "strips" in data else None
    return Reading({**prompts, **told.prompts}, own if told.strips is None else told.strips)


def _check_sizes(
    strips: Mapping[str, Any], wrong: Callable[[str, Any], ValueError | ModelFileError]
) -> None:
    for name, value in strips.items():
        if type(value) is not int or not 0 <= value <= _MOST_PX:
            raise wrong(f"a whole number from 0 to {_MOST_PX} for '{name}'", value)


def _object(key: str, data: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, Mapping):
        raise _error(f"an object as '{key}'", value)
    _check_names(f"'{key}'", value, names)
    return value


def _check_names(what: str, value: Mapping[str, Any], names: tuple[str, ...]) -> None:
    unknown = [name for name in value if name not in names]
    if unknown:
        raise _error(f"{what} to have only {', '.join(names)}", ", ".join(unknown))


def _argument_error(expected: str, found: Any) -> ValueError:
    return ValueError(f"[convert] expected {expected}; found {found!r}; correct it")


def _error(expected: str, found: Any) -> ModelFileError:
    return ModelFileError(
        f"[{FILE_NAME}] expected {expected}; found {found!r}; correct the file, or remove it"
    )
