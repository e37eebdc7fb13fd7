"""Every command line that the documentation shows names a command, and options that it has."""

from __future__ import annotations

import argparse
import re
from functools import cache
from pathlib import Path

import pytest
from crispvl.cli import COMMANDS, make_parser

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = ("*.md", "docs/**/*.md", "models/**/*.md", "benchmarks/*.md", "fuzz/*.md")
PAGES = [path for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
CODE = re.compile(r"^ *```\w*\n(.*?)^ *```$|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|[$&] |-- |/)crispvl ([a-z]+)\b([^\n#&;]*)", re.MULTILINE)

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="this tree lacks the pages")


@cache
def options(command: str) -> frozenset[str]:
    """The options of a command, as they are typed."""
    parser = make_parser([command])
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return frozenset(commands.choices[command]._option_string_actions)


def faults(text: str) -> list[str]:
    """What a page tells to type that crispvl does not have."""
    code = "\n".join(block or inline for block, inline in CODE.findall(text))
    found = []
    for command, rest in COMMAND.findall(code.replace("\\\n", " ")):
        if command not in COMMANDS:
            found.append(command)
            continue
        typed = re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest)
        found += [f"{command} {option}" for option in typed if option not in options(command)]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_commands_of_a_page_exist(page: Path) -> None:
    assert faults(page.read_text("utf-8")) == []


def test_a_command_and_an_option_that_there_are_not_are_noticed() -> None:
    page = "`crispvl read a.png`\n```console\n$ crispvl recognize a.png --formats text -m x\n```\n"
    assert faults(page) == ["read", "recognize --formats"]


def test_the_reference_tells_every_command() -> None:
    text = (ROOT / "docs" / "reference" / "commands.md").read_text("utf-8")
    for command in COMMANDS:
        assert re.search(rf"`(crispvl )?{command}\b", text), command
