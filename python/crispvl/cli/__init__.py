"""The command ``crispvl``.

Each subcommand is a module with ``add_arguments(parser)`` and ``run(args) -> int``, loaded only
when it is called. What a command produces goes to standard output, all else to standard error.
Exit codes: 0 done, 1 some items failed, 2 wrong usage or unusable model, 130 interrupted, 141 the
reader of the output went away, 128 and its number for another signal.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import signal
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from difflib import get_close_matches
from itertools import takewhile
from typing import Any, NoReturn

from crispvl._version import __version__
from crispvl.cli.address_space import require_address_space
from crispvl.cli.examples import BEGIN, EXIT_CODES, epilog
from crispvl.cli.messages import settle_messages
from crispvl.cli.signals import Terminated, ended_by_signals
from crispvl.cli.streams import abandon_what_cannot_be_written, output_error, settle_streams
from crispvl.errors import CrispVLError, explained

COMMANDS: dict[str, tuple[str, str]] = {
    "recognize": ("crispvl.cli.recognize", "read the text of images and documents"),
    "batch": ("crispvl.cli.batch", "read many documents into one table, each page exactly once"),
    "convert": ("crispvl.cli.convert", "make a model file from a Hugging Face checkpoint"),
    "quantize": ("crispvl.cli.quantize", "make a model file smaller"),
    "imatrix": ("crispvl.cli.imatrix", "measure which weights matter most, for quantize"),
    "verify": ("crispvl.cli.verify", "compare a model file with what the published code computes"),
    "serve": (
        "crispvl.cli.serve",
        "serve models over HTTP, with an OpenAI-compatible API and a web page",
    ),
    "plan": ("crispvl.cli.plan", "tell how much memory a model will need"),
    "inspect": ("crispvl.cli.inspect", "show what a model file contains"),
    "bench": ("crispvl.cli.bench", "measure a model's speed and memory on this machine"),
    "pull": ("crispvl.cli.pull", "download a model from the hub"),
    "list": ("crispvl.cli.listing", "list the models in the hub's cache"),
    "remove": ("crispvl.cli.remove", "delete a model from the hub's cache"),
    "view": ("crispvl.cli.view", "write a web page that shows a document beside its text"),
    "eval": (
        "crispvl.cli.evaluate",
        "score a model on images with true text, or on a benchmark",
    ),
    "doctor": ("crispvl.cli.doctor", "show what this installation can use"),
    "completion": (
        "crispvl.cli.completion",
        "write the script that lets a shell complete commands",
    ),
}
"""Per subcommand, its module and its line of help."""

_REQUIRED = "the following arguments are required"  # as argparse says it
_NEAR = 0.75
"""How alike a name and what may be meant by it are, of 1."""

DONE, SOME_FAILED, UNUSABLE, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    settle_streams()
    settle_messages()
    try:
        with ended_by_signals():
            code = _run(arguments)
            sys.stdout.flush()
            return code
    except Terminated as stop:
        complain(f"ended by {signal.Signals(stop.number).name}")
        return 128 + stop.number
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except (CrispVLError, ValueError, ImportError) as error:
        complain(str(error))
        return UNUSABLE
    except OSError as error:
        complain(output_error(error))
        return UNUSABLE
    except MemoryError as error:
        complain(str(explained(error, "memory")))
        return UNUSABLE
    finally:
        abandon_what_cannot_be_written()


def _run(arguments: Sequence[str]) -> int:
    if not arguments:
        print(BEGIN)
        return DONE
    called = [argument for argument in arguments if not argument.startswith("-")][:1]
    try:
        if called and called[0] not in COMMANDS:
            make_parser(()).error(_no_command(called[0]))
        if called:
            require_address_space()
        args, unknown = make_parser(called).parse_known_args(arguments)
        if unknown:
            args.command_parser.refuse(unknown)
    except SystemExit as stop:  # argparse, after its own message
        return stop.code if isinstance(stop.code, int) else UNUSABLE
    code: int = args.run(args)
    return code


def _no_command(name: str) -> str:
    close = get_close_matches(name, COMMANDS, n=1, cutoff=_NEAR)
    meant = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(COMMANDS)}"
    if os.path.exists(name):
        meant = f"to read it, run crispvl recognize {shlex.quote(name)}"
    return f"expected a command; found {name!r}; {meant}"


def complain(message: str) -> None:
    """Writes a line to standard error, above a progress line if there is one, as `tell` does."""
    tell(f"crispvl: {message}")


def tell(line: str) -> None:
    """Writes a line to standard error.

    Control characters, which a file's name may hold, are shown and not obeyed. Where the line
    cannot be written, such as to a log on a full disk, the work goes on without it.
    """
    from tqdm import tqdm

    with suppress(OSError), tqdm.external_write_mode(sys.stderr):
        print(line.translate(_CONTROLS), file=sys.stderr, flush=True)


_CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}


class _Parser(argparse.ArgumentParser):
    """A parser that tells where its help cannot be written, which argparse keeps to itself."""

    _slips: Sequence[str] = ()
    """What looks like an option and is none, told where else only missing arguments would be."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        args = sys.argv[1:] if args is None else list(args)
        given = takewhile(lambda text: text.startswith("-") or self._takes_words, args)
        dashed = [text for text in takewhile("--".__ne__, given) if text.startswith("-")]
        self._slips = [text for text in dashed if not self._may_be_meant(text)]
        return super().parse_known_args(args, namespace)

    @property
    def _takes_words(self) -> bool:
        """Whether it is a command's; the one of all commands hands on what follows a word."""
        return self._subparsers is None

    def _may_be_meant(self, text: str) -> bool:
        """Whether an option may be meant: a long one by its beginning, a short one with a value."""
        name = text.partition("=")[0] if text.startswith("--") else text[:2]
        return any(option.startswith(name) for option in self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        """Ends with the message alone: the usage of forty options would hide it."""
        if self._slips and message.startswith(_REQUIRED):
            message = self._unrecognized(self._slips)
        complain(f"[{self.prog.split()[-1]}] {message}; for help, run {self.prog} --help")
        self.exit(UNUSABLE)

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Ends with what is no option, and the option that may be meant."""
        self.error(self._unrecognized(unknown))

    def _unrecognized(self, unknown: Sequence[str]) -> str:
        name, options = unknown[0].partition("=")[0], self._option_string_actions
        close = get_close_matches(name, options, n=1, cutoff=_NEAR)
        meant = f"; did you mean {close[0]}?" if close else ""
        return f"unrecognized arguments: {' '.join(unknown)}{meant}"


def make_parser(called: Collection[str]) -> argparse.ArgumentParser:
    """Returns the parser of all commands, with the options of those that are called."""
    parser = _Parser(
        prog="crispvl",
        description="Reads documents with InternVL vision-language models. For details, run "
        "crispvl COMMAND --help.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"crispvl {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module_name, line) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=line,
            description=f"{line[0].upper()}{line[1:]}.",
            epilog=epilog(name) if name in called else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name in called:
            module = importlib.import_module(module_name)
            module.add_arguments(command)
            command.set_defaults(run=module.run, command_parser=command)
    return parser
