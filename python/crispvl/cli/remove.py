"""``crispvl remove``: take a model out of the hub's cache."""

from __future__ import annotations

import argparse

from crispvl.cli import DONE, complain
from crispvl.hub.cache import remove


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo", metavar="ORG/REPO", help="all its files and revisions")


def run(args: argparse.Namespace) -> int:
    complain(f"{args.repo}: {remove(args.repo) / 2**20:,.1f} MiB freed")
    return DONE
