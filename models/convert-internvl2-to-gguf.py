#!/usr/bin/env python3
"""Converts an InternVL checkpoint to GGUF; does what ``crispvl convert`` does."""

from __future__ import annotations

import argparse

from crispvl.cli import convert


def main() -> int:
    """Runs the command and returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    convert.add_arguments(parser)
    return convert.run(parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
