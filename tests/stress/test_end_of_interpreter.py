"""The interpreter ends while daemon threads are in the core: no abort, no hang."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import ROOT, run_python

# Daemon threads call without a pause; the main thread ends at a moment of its own.
PROGRAM = """
import sys, threading, time
import numpy as np
from crispvl import CrispOCR, Model, _core

path, kind = sys.argv[1:]
model = Model.load(path, device="cpu", threads=1)
tile_px = model.config["vision"]["tile_px"]
tiles = np.zeros((2, tile_px, tile_px, 3), np.uint8)
page = np.full((200, 300, 3), 255, np.uint8)
page[90:110, 20:280:5] = 0
ocr = CrispOCR(model)
calls = {
    "recognize": lambda: ocr.recognize(page, max_tokens=20),
    "encode": lambda: model.encode(tiles, progress=lambda done, of: sum(range(2000))),
    "tokenize": lambda: model.tokenize("words and more " * 2000),
    "tile_image": lambda: _core.tile_image(page),
    "load": lambda: Model.load(path, device="cpu", threads=1, mmap=False),
    "errors": lambda: refused(model.core.new_session, -1),
}

def refused(call, *arguments):
    try:
        call(*arguments)
    except ValueError:
        pass

def work():
    while True:
        calls[kind]()
        begun.set()

class Late:  # calls the core from a destructor, while the interpreter ends
    def __del__(self, tokenize=model.core.tokenize):
        tokenize("late", True)

late = Late()
begun = threading.Event()
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
begun.wait()
time.sleep(0.01)
"""


@pytest.mark.parametrize(
    "kind", ["recognize", "encode", "tokenize", "tile_image", "load", "errors"]
)
def test_the_interpreter_ends_while_daemon_threads_are_in_the_core(tiny: Path, kind: str) -> None:
    ended = run_python(PROGRAM, tiny, kind)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_binding_gives_up_the_gil_by_its_own_guard_alone() -> None:
    sources = [*(ROOT / "python" / "src").glob("*.cpp"), *(ROOT / "python" / "src").glob("*.h")]
    if not sources:
        pytest.skip("no sources: these are the tests of an installed wheel")
    found = {file.name for file in sources if "gil_scoped_" in file.read_text(encoding="utf-8")}
    assert not found
