"""However a batch is ended, it ends at once and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("psutil")
import psutil

if os.name != "posix":
    pytest.skip("signals as POSIX has them", allow_module_level=True)

MakePdf = Callable[..., Path]

OPENING = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.path.append(sys.argv[1])
import crispvl.cli.batch as command
from crispvl.batch.run import run_on_this_machine
from crispvl.cli import main
from functools import partial
from worker_readers import NamingReader, hanging_opener
if __name__ == "__main__":
    command.run_on_this_machine = partial(
        run_on_this_machine, factory=NamingReader, opener=hanging_opener
    )
    sys.exit(main(["batch", sys.argv[2], "--out", sys.argv[3], "--workers", "2"]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_document_that_is_being_opened_keeps_no_run_from_its_end(
    tmp_path: Path, pdf: MakePdf, number: int
) -> None:
    pdf("a.pdf", 2)
    script, opening = tmp_path / "driver.py", tmp_path / "opening"
    script.write_text(OPENING)
    names = [str(Path(__file__).parent), str(tmp_path / "in"), str(tmp_path / "out")]
    run = subprocess.Popen(
        [sys.executable, str(script), *names],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert soon(lambda: opening.is_file() and opening.read_text())
    opener = psutil.Process(int(opening.read_text()))
    os.killpg(run.pid, number) if number == signal.SIGINT else run.send_signal(number)
    _, told = run.communicate(timeout=60)
    assert run.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in told
    assert soon(lambda: not lives(opener))


def soon(is_so: Callable[[], object]) -> bool:
    """Whether something comes true within a minute."""
    deadline = time.monotonic() + 60
    while not (found := is_so()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(found)


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
