"""``crispvl completion``: what a shell needs to complete commands and options by the tab key."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from crispvl.cli import COMMANDS, DONE, make_parser
from crispvl.extras import need

SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")
_FOLDERS = frozenset({"DIR", "FOLDER"})
_FILES = frozenset(
    {"CHECKPOINT", "DIR_OR_GGUF", "DIR_OR_REPO", "FILE", "IMAGE", "IN", "MODEL", "OUT", "OUT.svg",
     "PAGE", "[NAME=]FILE"}
)  # fmt: skip
"""What the help calls arguments that are paths."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "shell",
        choices=SHELLS,
        help="whose script is written to standard output. bash: put 'eval \"$(crispvl completion "
        "bash)\"' into ~/.bashrc; zsh: write it to a file _crispvl in a folder of $fpath; fish: to "
        "~/.config/fish/completions/crispvl.fish",
    )


def run(args: argparse.Namespace) -> int:
    shtab = need("shtab", "completion")
    parser = make_parser(COMMANDS)
    for action in _actions(parser):
        if action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    print(shtab.complete(parser, args.shell))
    return DONE


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yields the arguments of a parser and of its commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action
