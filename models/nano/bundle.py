#!/usr/bin/env python3
"""Makes the model that ships in the wheel from the checkpoint beside this file.

    python models/nano/bundle.py

Converts `checkpoint/` to Q8_0 at `python/crispvl/data/nano.gguf` and writes the file's SHA-256 into
`python/crispvl/hub/bundled.py`, which refuses any other file.
"""

from __future__ import annotations

import re
from pathlib import Path

from crispvl.convert import convert_checkpoint
from crispvl.hub.hashing import file_sha256

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent.parent / "python" / "crispvl"


def main() -> None:
    """Converts, then pins the hash."""
    model = PACKAGE / "data" / "nano.gguf"
    model.parent.mkdir(exist_ok=True)
    report = convert_checkpoint(HERE / "checkpoint", model, dtype="q8_0")
    digest = file_sha256(model)
    module = PACKAGE / "hub" / "bundled.py"
    source = module.read_text(encoding="utf-8")
    pinned, n_pins = re.subn(r'(?m)^SHA256 = ".*"$', f'SHA256 = "{digest}"', source)
    if n_pins != 1:
        raise SystemExit(f"[{module}] one line 'SHA256 = \"…\"' is expected; found {n_pins}")
    module.write_text(pinned, encoding="utf-8")
    print(report)
    print(f"{model}: {model.stat().st_size / 1e6:.1f} MB, SHA-256 {digest}")


if __name__ == "__main__":
    main()
