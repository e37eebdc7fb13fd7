#!/usr/bin/env python3
"""Converts an InternVL checkpoint to GGUF; does what ``crispvl convert`` does."""

from __future__ import annotations

import argparse

from crispvl.convert import cli


def main() -> int:
    """Runs the command and returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    cli.add_arguments(parser)
    return cli.run(parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
