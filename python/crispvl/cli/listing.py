"""``crispvl list``: the models in the hub's cache."""

from __future__ import annotations

import argparse
import sys

from crispvl.cli import DONE, complain
from crispvl.cli.output import write_json
from crispvl.hub.cache import cached_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="machine-readable, with paths")


def run(args: argparse.Namespace) -> int:
    files = cached_files()
    if args.json:
        rows = [
            {"repo": file.repo, "name": file.name, "bytes": file.n_bytes, "path": str(file.path)}
            for file in files
        ]
        write_json(sys.stdout, rows, indent=2)
    else:
        for file in files:
            print(f"{file.n_bytes / 2**20:10,.1f} MiB  {file.repo}  {file.name}")
        if not files:
            complain("the cache has no models; crispvl pull ORG/REPO downloads one")
    return DONE
