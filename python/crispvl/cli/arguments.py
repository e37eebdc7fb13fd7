"""Command-line arguments made from the fields of option dataclasses, declared only there."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from crispvl.options import GenerateOptions, InputOptions, LoadOptions, ReadOptions
from crispvl.server.options import ServerOptions

Options = TypeVar("Options", LoadOptions, ReadOptions, ServerOptions)


_HEADINGS: dict[type, str] = {
    ServerOptions: "serving",
    LoadOptions: "loading",
    InputOptions: "pages",
    ReadOptions: "reading",
    GenerateOptions: "writing the answer",
}


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds ``-m``, ``--mmproj`` and the fields of `LoadOptions`."""
    parser.add_argument(
        "-m",
        "--model",
        metavar="FILE",
        help="GGUF file, or a name on the hub such as org/repo:q8_0 (default: the bundled model)",
    )
    parser.add_argument("--mmproj", metavar="FILE", help="projector of a model in two files")
    add_options(parser, LoadOptions)


def add_options(
    parser: argparse.ArgumentParser, options: type[Options], leave_out: Collection[str] = ()
) -> None:
    """Adds ``--field-name`` for each field; what the user leaves out keeps the field's default.

    The fields that a class brings are under its own heading.
    """
    hints = get_type_hints(options)
    groups: dict[type, argparse._ArgumentGroup] = {}
    for field in fields(options):
        if field.name in leave_out:
            continue
        owner = next(kind for kind in reversed(options.__mro__) if field.name in vars(kind))
        group = _group(parser, groups, owner)
        flag = "--" + field.name.replace("_", "-")
        text = field.metadata["help"]
        if field.default not in (None, "", ()):
            text += f" (default: {field.default})"
        hint: Any = hints[field.name]
        if bool in (hint, *get_args(hint)):
            group.add_argument(
                flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
            )
        else:
            parse = field.metadata["parse"]
            kind = readable(parse) if parse else _value_type(hint)
            choices = _choices(hint)
            group.add_argument(
                flag,
                action=_Collect if get_origin(hint) is tuple else "store",
                type=kind,
                choices=choices,
                default=argparse.SUPPRESS,
                help=text,
                metavar=None if choices else field.metadata["metavar"] or kind.__name__.upper(),
            )


class _Collect(argparse.Action):
    """Collects the values of an option that may be repeated, as a tuple."""

    def __call__(
        self, parser: argparse.ArgumentParser, args: argparse.Namespace, value: Any, _: Any = None
    ) -> None:
        setattr(args, self.dest, (*getattr(args, self.dest, ()), value))


def _group(
    parser: argparse.ArgumentParser, groups: dict[type, argparse._ArgumentGroup], owner: type
) -> argparse._ArgumentGroup:
    if owner not in groups:
        groups[owner] = parser.add_argument_group(_HEADINGS[owner])
    return groups[owner]


def read_options(args: argparse.Namespace, options: type[Options], **more: Any) -> Options:
    """Makes the options from what the user gave."""
    names = {field.name for field in fields(options)}
    return options(**{name: value for name, value in vars(args).items() if name in names}, **more)


def readable(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """The same for argparse, which shows a user what the ValueError says."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def named_output(text: str) -> str:
    """Returns the name of an output; one that ends in / is a folder's.

    Raises:
        ArgumentTypeError: It is empty, which a path takes for the current folder.
    """
    if not text:
        raise argparse.ArgumentTypeError("[output] expected a name; found none; give one")
    return text


def output_path(text: str) -> Path:
    """The same as a path."""
    return Path(named_output(text))


def _choices(hint: Any) -> tuple[str, ...] | None:
    """Returns the values of a literal, and of a literal that may be None."""
    literals = [kind for kind in (hint, *get_args(hint)) if get_origin(kind) is Literal]
    return get_args(literals[0]) if literals else None


def _value_type(hint: Any) -> type:
    """Returns ``int`` for ``int`` and for ``int | None``, ``str`` for literals."""
    for kind in (hint, *get_args(hint)):
        if kind in (int, float, str):
            return kind  # type: ignore[no-any-return]
    return str
