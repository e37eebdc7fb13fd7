"""``crispvl pull``: fetch a model from the hub, so that it is there without a network."""

from __future__ import annotations

import argparse

from crispvl.cli import DONE
from crispvl.hub.huggingface import check_hash, download, parse_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="ORG/REPO[:FILE]",
        help="a repository of GGUF files, or a checkpoint whose GGUF pair is known; after the "
        "colon a name, a pattern or a part of the file's name (default: q8_0)",
    )
    parser.add_argument("--mmproj", metavar="NAME", help="name or pattern of the projector")
    parser.add_argument("--revision", metavar="REV", help="branch, tag or commit")


def run(args: argparse.Namespace) -> int:
    name = parse_name(args.name)
    if name is None:
        raise ValueError(
            f"[{args.name}] expected a name on the hub; found something else; write it like "
            "org/repo or org/repo:q4_k_m"
        )
    for path in download(name.repo, name.filename, args.mmproj, args.revision):
        if path is not None:
            check_hash(path)  # what was cached before as well
            print(path)
    return DONE
