"""``crispvl serve``: an HTTP server with OpenAI's interface."""

from __future__ import annotations

import argparse
import importlib
import logging

from crispvl.cli import DONE
from crispvl.cli.arguments import add_options, read_options
from crispvl.extras import need_all
from crispvl.options import LoadOptions
from crispvl.server.options import ServerOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-m",
        "--model",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="GGUF file, or a name on the hub; NAME=TEXT.gguf,MMPROJ.gguf for a pair; may be "
        "repeated, further models are loaded on request (default: the bundled model)",
    )
    parser.add_argument("--verbose", action="store_true", help="log every request")
    add_options(parser, ServerOptions)
    add_options(parser, LoadOptions)


def run(args: argparse.Namespace) -> int:
    need_all("server", "serve")
    server = importlib.import_module("crispvl.server.serve")
    pool = importlib.import_module("crispvl.server.pool")
    if args.verbose:
        logging.getLogger("crispvl.server").setLevel(logging.INFO)
    options = read_options(args, ServerOptions)
    server.serve(options, pool.parse_sources(args.model), read_options(args, LoadOptions))
    return DONE
