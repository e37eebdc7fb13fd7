#!/usr/bin/env python3
"""Converts an InternVL checkpoint to GGUF: ``crispvl convert``, from a clone."""

from __future__ import annotations

import sys

from crispvl.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert", *sys.argv[1:]]))
