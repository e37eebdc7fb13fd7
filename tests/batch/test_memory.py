"""What a batch takes of memory does not grow with the table or the documents that are found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
if not Path("/proc/self/status").is_file():
    pytest.skip("peaks of memory are told as Linux does", allow_module_level=True)

WRITE = """
import os, sys
os.fsync = lambda descriptor: None  # of 1,500 parts
from crispvl.batch.documents import ReadTask
from crispvl.batch.job import Job
from crispvl.batch.parts import ROWS_PER_PART, write_part
from crispvl.batch.rows import page_row
from crispvl.batch.storage import Folder
from crispvl.results.page import Page
job, n = Job(inputs=(), out=sys.argv[1]), int(sys.argv[2])
folder = Folder(job.out)
with folder.claimed():
    for start in range(0, n, ROWS_PER_PART):
        rows = []
        for i in range(start, min(n, start + ROWS_PER_PART)):
            task = ReadTask(source=f"{i}.pdf", version="1", document="0", n_pages=1, pages=(1,))
            rows.append(page_row(job, task, Page(number=1)) | {"text": "words " * 100})
        write_part(folder, rows, "parquet")
"""
RESUME = """
import re, sys
from pathlib import Path
from crispvl.batch.job import Job
from crispvl.batch.ledger import Ledger
from crispvl.batch.storage import Folder, Stored
from crispvl.batch.table import note_table
job, n = Job(inputs=(), out=sys.argv[1]), int(sys.argv[2])
with Ledger(job) as ledger:
    ledger.expect(Stored(f"{i}.pdf", "1") for i in range(2 * n))
    note_table(job, Folder(job.out), ledger)
    assert (ledger.n_kept, ledger.n_unfinished) == (n, n)
    assert sum(1 for _ in ledger.unfinished()) == n
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def run(script: str, *arguments: object) -> str:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_resident_memory_is_the_same_for_a_thousand_and_a_hundred_thousand_keys(
    tmp_path: Path,
) -> None:
    peaks = []
    for n in (1_000, 100_000):
        out = tmp_path / str(n)
        run(WRITE, out, n)
        peaks.append(int(run(RESUME, out, n)))
    assert peaks[1] < peaks[0] + 24_000  # kB, for SQLite's cache and parts that are read ahead
