"""The command ``crispvl``.

Each subcommand is a module with ``add_arguments(parser)`` and ``run(args) -> int``, loaded only
when it is called. What a command produces goes to standard output, all else to standard error.
Exit codes: 0 done, 1 some items failed, 2 wrong usage or unusable model, 130 interrupted, 141 the
reader of the output went away, 128 and its number for another signal.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
import warnings
from collections.abc import Collection, Sequence

from crispvl._version import __version__
from crispvl.cli.examples import BEGIN, EXIT_CODES, epilog
from crispvl.cli.signals import Terminated, ended_by_signals
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

DONE, SOME_FAILED, UNUSABLE, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    _settle_streams()
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    warnings.formatwarning = lambda message, *_: f"crispvl: {message}\n"  # without our source line
    try:
        with ended_by_signals():
            if not arguments:
                print(BEGIN)
                return DONE
            called = [argument for argument in arguments if argument in COMMANDS][:1]
            args = make_parser(called).parse_args(arguments)
            code: int = args.run(args)
            sys.stdout.flush()
            return code
    except SystemExit as stop:  # argparse, after its own message
        return stop.code if isinstance(stop.code, int) else UNUSABLE
    except Terminated as stop:
        complain(f"ended by {signal.Signals(stop.number).name}")
        return 128 + stop.number
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Python would flush standard output once more at exit, and fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (CrispVLError, OSError, ValueError, ImportError) as error:
        complain(str(error))
        return UNUSABLE
    except MemoryError as error:
        complain(str(explained(error, "memory")))
        return UNUSABLE


def _settle_streams() -> None:
    """Puts the null device where a standard stream is closed; the others write UTF-8."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and hasattr(stream, "reconfigure"):
            # A path that is no UTF-8 must not end the command that names it.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def complain(message: str) -> None:
    """Writes a line to standard error, above a progress line if there is one."""
    from tqdm import tqdm

    with tqdm.external_write_mode(sys.stderr):
        print(f"crispvl: {message}", file=sys.stderr, flush=True)


def make_parser(called: Collection[str]) -> argparse.ArgumentParser:
    """Returns the parser of all commands, with the options of those that are called."""
    parser = argparse.ArgumentParser(
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
            command.set_defaults(run=module.run)
    return parser
