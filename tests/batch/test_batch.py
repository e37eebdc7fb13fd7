"""Every page of many documents is in the table exactly once, whatever ends on the way."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
from crispvl.batch import tasks
from crispvl.batch.contents import content_hash
from crispvl.batch.documents import ReadTask, find_documents
from crispvl.batch.job import Job, PartFormat
from crispvl.batch.ledger import Ledger
from crispvl.batch.page_reader import EnginePageReader
from crispvl.batch.parts import ROWS_PER_PART, identities, write_part
from crispvl.batch.rows import NO_PAGE, Row, page_row
from crispvl.batch.run import run_on_this_machine
from crispvl.batch.storage import Folder, Stored
from crispvl.batch.table import note_table
from crispvl.batch.tasks import opened
from crispvl.errors import DocumentError, OutputError
from crispvl.hub import bundled
from crispvl.inputs.versions import file_version
from crispvl.options import ReadOptions
from crispvl.results.page import Page
from worker_readers import (
    ChangedReader,
    HangingReader,
    LockedReader,
    NamingReader,
    PoisonedReader,
    SlowReader,
    refused,
)

MakePdf = Callable[..., Path]


def job(tmp_path: Path, **settings: Any) -> Job:
    return Job(inputs=(str(tmp_path / "in"),), out=str(tmp_path / "out"), **settings)


def rows(tmp_path: Path) -> list[Row]:
    import pyarrow.dataset

    table = pyarrow.dataset.dataset(tmp_path / "out", format="parquet").to_table()
    return sorted(table.to_pylist(), key=lambda row: (row["source"], row["page"]))


def texts(tmp_path: Path) -> list[str]:
    return [row["text"] for row in rows(tmp_path)]


def expected(*documents: tuple[str, int]) -> list[str]:
    return [f"{name} {page}" for name, n in documents for page in range(1, n + 1)]


def test_each_page_has_a_row_and_a_second_run_starts_no_worker(
    tmp_path: Path, pdf: MakePdf
) -> None:
    pdf("a.pdf", 11)
    pdf("b.pdf", 2, width=300)
    first = run_on_this_machine(job(tmp_path), 2, factory=NamingReader)
    assert first.n_read == 13
    assert texts(tmp_path) == expected(("a.pdf", 11), ("b.pdf", 2))
    second = run_on_this_machine(job(tmp_path), 2, factory=refused)
    assert (second.n_read, second.n_kept) == (0, 13)


def test_copies_of_a_document_have_rows_of_their_own(tmp_path: Path, pdf: MakePdf) -> None:
    original = pdf("a.pdf", 2)
    original.with_name("b.pdf").write_bytes(original.read_bytes())
    run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    assert texts(tmp_path) == expected(("a.pdf", 2), ("b.pdf", 2))


def test_a_changed_document_is_read_again_alone(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 2)
    pdf("b.pdf", 2)
    run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    (tmp_path / "read.log").unlink()
    pdf("b.pdf", 2, width=301)
    assert run_on_this_machine(job(tmp_path), 1, factory=NamingReader).n_read == 2
    assert (tmp_path / "read.log").read_text().split("\n")[:-1] == ["b.pdf 1", "b.pdf 2"]


def test_a_document_that_was_only_touched_is_not_read_again(tmp_path: Path, pdf: MakePdf) -> None:
    path = pdf("a.pdf", 2)
    run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    os.utime(path, (1, 1))
    assert run_on_this_machine(job(tmp_path), 1, factory=refused).n_read == 0


def test_other_settings_are_other_readings(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 2)
    run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    longer = job(tmp_path, read=ReadOptions(max_tokens=7))
    assert run_on_this_machine(longer, 1, factory=NamingReader).n_read == 2
    assert len({row["settings"] for row in rows(tmp_path)}) == 2


def test_a_range_of_pages_leaves_the_others_for_a_later_run(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 5)
    some = job(tmp_path, read=ReadOptions(pages="2-3"))
    assert run_on_this_machine(some, 1, factory=NamingReader).n_read == 2
    assert run_on_this_machine(some, 1, factory=refused).n_read == 0
    assert run_on_this_machine(job(tmp_path), 1, factory=NamingReader).n_read == 3
    assert texts(tmp_path) == expected(("a.pdf", 5))


def test_a_page_that_ends_its_worker_is_recorded_and_costs_no_other(
    tmp_path: Path, pdf: MakePdf
) -> None:
    pdf("a.pdf", 5)
    pdf("b.pdf", 2, width=300)
    summary = run_on_this_machine(job(tmp_path, attempts=2), 2, factory=PoisonedReader)
    assert summary.failures.kinds == {"WorkerDiedError": 1}
    found = rows(tmp_path)
    assert [(row["page"], row["error_type"]) for row in found[:5]] == [
        (1, None),
        (2, None),
        (3, "WorkerDiedError"),
        (4, None),
        (5, None),
    ]
    assert "exit code 7" in found[2]["error"]
    assert summary.failures.first == [f"page 3: {found[2]['error']}"]
    assert summary.failures.first[0] in list(summary.lines())
    assert [row["error"] for row in found[5:]] == [None, None]


def test_a_failed_page_is_read_again_only_when_asked(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 4)
    run_on_this_machine(job(tmp_path, attempts=1), 1, factory=PoisonedReader)
    assert run_on_this_machine(job(tmp_path), 1, factory=refused).n_read == 0
    again = job(tmp_path, retry_failed=True)
    assert run_on_this_machine(again, 1, factory=NamingReader).n_read == 1
    assert texts(tmp_path) == expected(("a.pdf", 4))


@pytest.mark.parametrize(
    ("reader", "options"),
    [(ChangedReader, {}), (LockedReader, {"read": ReadOptions(password="open")})],
    ids=["changed", "locked"],
)
def test_an_error_that_may_be_over_is_not_asked_to_be_retried(
    reader: Any, options: dict[str, Any], tmp_path: Path, pdf: MakePdf
) -> None:
    pdf("a.pdf", 3)
    assert run_on_this_machine(job(tmp_path), 1, factory=reader).failures.n == 3
    assert run_on_this_machine(job(tmp_path, **options), 1, factory=NamingReader).n_read == 3
    assert texts(tmp_path) == expected(("a.pdf", 3))
    assert run_on_this_machine(job(tmp_path, **options), 1, factory=refused).n_read == 0


def test_without_a_password_a_locked_document_stays_as_it_is(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 3)
    run_on_this_machine(job(tmp_path), 1, factory=LockedReader)
    assert run_on_this_machine(job(tmp_path), 1, factory=refused).n_kept_failed == 3


def test_a_document_that_changes_before_it_is_opened_is_read_as_it_is_then(
    tmp_path: Path, pdf: MakePdf
) -> None:
    path = pdf("a.pdf", 2)
    task = opened(job(tmp_path), Stored(str(path), "as it was found"))
    assert isinstance(task, ReadTask)
    assert task.version == file_version(path)


def test_pages_are_counted_in_the_document_whose_hash_is_known(
    tmp_path: Path, pdf: MakePdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = pdf("a.pdf", 6), pdf("b.pdf", 2)

    def hashed(data: Path) -> str:
        digest = content_hash(data)
        other.replace(path)
        return digest

    monkeypatch.setattr(tasks, "content_hash", hashed)
    row = opened(job(tmp_path), Stored(str(path), ""))
    assert isinstance(row, dict)
    assert row["error_type"] == "DocumentChangedError"


@pytest.mark.skipif(not bundled.path().is_file(), reason="no bundled model here")
def test_a_document_is_the_same_as_long_as_its_content_is(tmp_path: Path, pdf: MakePdf) -> None:
    path = pdf("a.pdf", 2)
    reader = EnginePageReader(job(tmp_path), 1)
    task = opened(job(tmp_path), Stored(str(path), ""))
    assert isinstance(task, ReadTask)
    os.utime(path, (1, 1))
    assert [row["error_type"] for row in reader.read((task,))] == [None, None]
    pdf("b.pdf", 3).replace(path)
    kinds = [row["error_type"] for row in reader.read((task,))]
    assert kinds == ["DocumentChangedError"] * 2
    path.unlink()
    assert [row["error_type"] for row in reader.read((task,))] == kinds


def test_a_full_temporary_folder_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^\[index\] expected room"), Ledger(job(tmp_path)):
        raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize("again", [{"resume": False}, {"retry_failed": True}])
def test_only_what_a_run_names_is_taken_out_to_be_read_again(
    tmp_path: Path, pdf: MakePdf, again: dict[str, bool]
) -> None:
    pdf("a.pdf", 4)
    named = str(pdf("b.pdf", 4, width=300))
    run_on_this_machine(job(tmp_path, attempts=1), 1, factory=PoisonedReader)
    before = {row["key"]: row for row in rows(tmp_path)}
    one_page = Job(inputs=(named,), out=str(tmp_path / "out"), read=ReadOptions(pages="3"), **again)
    run_on_this_machine(one_page, 1, factory=NamingReader)
    after = {row["key"]: row for row in rows(tmp_path)}
    assert after.keys() == before.keys()
    changed = [(row["source"], row["page"]) for key, row in after.items() if row != before[key]]
    assert changed == [(named, 3)]


def test_a_worker_that_says_nothing_is_ended(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 3)
    patient = job(tmp_path, attempts=1, page_timeout=2.0)
    summary = run_on_this_machine(patient, 1, factory=HangingReader)
    assert summary.failures.kinds["WorkerDiedError"] >= 1
    assert [row["page"] for row in rows(tmp_path)] == [1, 2, 3]
    assert "nothing came for 2 s" in rows(tmp_path)[1]["error"]


def test_a_document_that_cannot_be_opened_is_one_row(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 1).with_name("b.pdf").write_bytes(b"%PDF-1.4 nothing else")
    summary = run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    assert summary.failures.kinds == {"DocumentError": 1}
    assert [(row["page"], row["n_pages"]) for row in rows(tmp_path)] == [(1, 1), (NO_PAGE, 0)]
    assert run_on_this_machine(job(tmp_path), 1, factory=refused).n_read == 0


def test_an_unusable_model_ends_the_batch_at_once(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 1)
    with pytest.raises(ValueError, match="expected no worker"):
        run_on_this_machine(job(tmp_path), 1, factory=refused)


def test_no_document_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DocumentError, match="found none in this folder"):
        run_on_this_machine(job(tmp_path), 1, factory=NamingReader)


def test_json_lines_hold_the_same_rows(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 3)
    lines = job(tmp_path, format="jsonl")
    assert run_on_this_machine(lines, 1, factory=NamingReader).n_read == 3
    parts = identities(Folder(lines.out), "jsonl")
    assert sorted(row["page"] for _, found in parts for row in found) == [1, 2, 3]
    assert run_on_this_machine(lines, 1, factory=refused).n_read == 0


@pytest.mark.parametrize("kinds", [("parquet", "jsonl"), ("jsonl", "parquet")])
def test_a_table_of_another_format_is_not_read_again_but_refused(
    tmp_path: Path, pdf: MakePdf, kinds: tuple[PartFormat, PartFormat]
) -> None:
    pdf("a.pdf", 1)
    first, second = (job(tmp_path, format=kind) for kind in kinds)
    run_on_this_machine(first, 1, factory=NamingReader)
    before = sorted(path.name for path in Path(first.out).iterdir())
    refusal = rf"a table of {kinds[1]} files; found part-.*; give --format {kinds[0]}, or"
    with pytest.raises(OutputError, match=refusal):
        run_on_this_machine(second, 1, factory=NamingReader)
    assert sorted(path.name for path in Path(first.out).iterdir()) == before


def test_one_name_spelled_in_several_ways_is_one_document(
    tmp_path: Path, pdf: MakePdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    pdf("a.pdf", 2)
    monkeypatch.chdir(tmp_path)
    names = ("in", "./in", "in//", "in/./a.pdf", "./in/*.pdf")
    assert {found.name for found in find_documents(names)} == {str(Path("in", "a.pdf"))}
    read = job(tmp_path)
    for name in names:
        run_on_this_machine(replace(read, inputs=(name,)), 1, factory=NamingReader)
    assert len(rows(tmp_path)) == 2


def test_names_come_from_a_list_too(tmp_path: Path, pdf: MakePdf) -> None:
    names = tmp_path / "names.txt"
    names.write_text(f"{pdf('a.pdf', 1)}\n\n{pdf('b.pdf', 2)}\n")
    listed = Job(inputs=(f"@{names}",), out=str(tmp_path / "out"))
    assert run_on_this_machine(listed, 1, factory=NamingReader).n_read == 3


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_may_begin_with_a_byte_order_mark(
    tmp_path: Path, pdf: MakePdf, encoding: str
) -> None:
    names = tmp_path / "names.txt"
    pages = [str(pdf(name, 1)) for name in ("a.pdf", "ä.pdf")]
    names.write_text("".join(f"{name}\n" for name in pages), encoding)
    assert [found.name for found in find_documents([f"@{names}"])] == pages
    names.write_bytes(b"\xff\xfe" + b"a\0b")
    with pytest.raises(DocumentError, match="expected a list of names"):
        list(find_documents([f"@{names}"]))


DRIVER = """
import sys
from pathlib import Path
sys.path.append(sys.argv[1])
from crispvl.batch import run
from crispvl.batch.job import Job
from worker_readers import SlowReader
if __name__ == "__main__":
    run.ROWS_PER_PART = 4
    job = Job(inputs=(sys.argv[2],), out=sys.argv[3])
    run.run_on_this_machine(job, 2, factory=SlowReader)
"""


def test_after_a_killed_driver_the_next_run_reads_what_is_missing(
    tmp_path: Path, pdf: MakePdf
) -> None:
    for i in range(8):
        pdf(f"{i}.pdf", 10, width=200 + i)
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    here, out = Path(__file__).parent, tmp_path / "out"
    command = [sys.executable, str(script), str(here), str(tmp_path / "in"), str(out)]
    driver = subprocess.Popen(command)
    deadline = time.monotonic() + 120
    while not list(out.glob("part-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    before = len(rows(tmp_path))
    assert 0 < before < 80
    rest = run_on_this_machine(job(tmp_path), 2, factory=SlowReader)
    assert rest.n_read == 80 - before
    assert texts(tmp_path) == expected(*((f"{i}.pdf", 10) for i in range(8)))


def test_memory_does_not_grow_with_documents_and_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # of 1,500 parts
    peaks = []
    for n in (1_000, 100_000):
        many = Job(inputs=(), out=str(tmp_path / str(n)))
        folder, row = Folder(many.out), synthetic_row(many)
        with folder.claimed(), Ledger(many) as ledger:
            for start in range(0, n, ROWS_PER_PART):
                numbers = range(start, min(n, start + ROWS_PER_PART))
                named = [row | {"key": f"{i}", "source": f"{i}.pdf"} for i in numbers]
                write_part(folder, named, "parquet")
            tracemalloc.start()
            ledger.expect(Stored(f"{i}.pdf", "1") for i in range(n + 1))
            note_table(many, folder, ledger)
            assert [found.name for found in ledger.unfinished()] == [f"{n}.pdf"]
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert (ledger.n_kept, ledger.n_unfinished) == (n, 1)
    assert peaks[1] < peaks[0] + 4_000_000  # parts that are read ahead; the keys would be 10 MB


def synthetic_row(many: Job) -> Row:
    task = ReadTask(source="", version="1", document="0", n_pages=1, pages=(1,))
    return page_row(many, task, Page(number=1))


def test_the_bundled_model_fills_the_table(tmp_path: Path) -> None:
    sample = Path(__file__).parents[2] / "examples" / "receipt.png"
    read = Job(inputs=(str(sample),), out=str(tmp_path / "out"))
    assert run_on_this_machine(read, 1).n_read == 1
    [row] = rows(tmp_path)
    assert "CORNER CAFE" in row["text"]
    assert row["confidence"] > 0.9
    assert dict(row["timings"])
