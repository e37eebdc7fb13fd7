"""What goes wrong around a batch is told, costs no finished page, and never the whole job."""

from __future__ import annotations

import errno
import json
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
import pdf_files
import psutil
from crispvl.batch import storage
from crispvl.batch.documents import ReadTask, find_documents
from crispvl.batch.job import Job
from crispvl.batch.page_reader import EnginePageReader
from crispvl.batch.parts import identities, write_part
from crispvl.batch.rows import NO_PAGE
from crispvl.batch.run import run_on_this_machine
from crispvl.batch.storage import Folder, Stored
from crispvl.batch.tasks import Shares, opened
from crispvl.cli import main
from crispvl.errors import DocumentError, ModelFileError, OutputError
from crispvl.hub import bundled
from crispvl.inputs.versions import file_version
from crispvl.options import LoadOptions, ReadOptions
from test_batch import expected, job, rows, texts
from worker_readers import NamingReader, SlowReader, dying_opener, refused

MakePdf = Callable[..., Path]
posix = pytest.mark.skipif(os.name != "posix", reason="as POSIX has it")


def test_a_document_that_ends_the_process_that_opens_it_is_one_row(
    tmp_path: Path, pdf: MakePdf
) -> None:
    pdf("a.pdf", 2)
    pdf("deadly.pdf", 3)
    read = job(tmp_path, attempts=2)
    summary = run_on_this_machine(read, 1, factory=NamingReader, opener=dying_opener)
    assert summary.failures.kinds == {"WorkerDiedError": 1}
    assert [(row["page"], row["error_type"]) for row in rows(tmp_path)] == [
        (1, None),
        (2, None),
        (NO_PAGE, "WorkerDiedError"),
    ]
    again = run_on_this_machine(read, 1, factory=refused, opener=dying_opener)
    assert again.n_read == 0


def test_an_encrypted_document_is_one_row(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 1).with_name("locked.pdf").write_bytes(pdf_files.pdf([None], "secret"))
    summary = run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    assert summary.failures.kinds == {"PasswordError": 1}
    assert rows(tmp_path)[1]["text"] == ""


@posix
def test_names_of_any_bytes_are_read_once(tmp_path: Path, pdf: MakePdf) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/caf\xe9 \xff.pdf"))
    pdf("a.pdf", 2).rename(odd)
    for kind in ("jsonl", "parquet"):
        read = Job(inputs=(str(tmp_path / "in"),), out=str(tmp_path / kind), format=kind)
        assert run_on_this_machine(read, 1, factory=NamingReader).n_read == 2
        assert run_on_this_machine(read, 1, factory=refused).n_read == 0
    (tmp_path / "parquet").rename(tmp_path / "out")
    assert texts(tmp_path) == [r"caf\udce9 \udcff.pdf 1", r"caf\udce9 \udcff.pdf 2"]


@posix
def test_links_that_lead_nowhere_or_in_a_circle_end_nothing(tmp_path: Path, pdf: MakePdf) -> None:
    folder = pdf("a.pdf", 1).parent
    (folder / "b.pdf").symlink_to(folder / "b.pdf")
    (folder / "c.pdf").symlink_to(tmp_path / "gone.pdf")
    (folder / "below").symlink_to(folder)
    summary = run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    assert [row["page"] for row in rows(tmp_path)] == [1, NO_PAGE, NO_PAGE]
    assert summary.failures.n == 2
    (folder / "c.pdf").unlink()
    pdf("c.pdf", 2)
    assert run_on_this_machine(job(tmp_path), 1, factory=NamingReader).n_read == 2


@posix
def test_a_pipe_among_the_documents_is_no_document(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 1)
    os.mkfifo(tmp_path / "in" / "b.pdf")
    found = find_documents([str(tmp_path / "in")])
    assert [Path(document.name).name for document in found] == ["a.pdf"]


@pytest.mark.parametrize("content", [None, b"a\0b.pdf\n"])
def test_a_list_that_is_none_is_refused_in_words(tmp_path: Path, content: bytes | None) -> None:
    names = tmp_path / "names"
    names.mkdir() if content is None else names.write_bytes(content)
    with pytest.raises(DocumentError, match="expected a list of names"):
        list(find_documents([f"@{names}"]))


def test_a_name_that_leads_nowhere_is_told_before_anything_is_read(
    tmp_path: Path, pdf: MakePdf
) -> None:
    typed = Job(inputs=(str(pdf("a.pdf", 1)), str(tmp_path / "b.pdf")), out=str(tmp_path / "out"))
    with pytest.raises(DocumentError, match=r"b\.pdf\] expected a file or a folder"):
        run_on_this_machine(typed, 1, factory=refused)
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_there_is_told_before_anything_is_read(
    tmp_path: Path, pdf: MakePdf
) -> None:
    pdf("a.pdf", 1)
    for model in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(ModelFileError, match="expected a GGUF file"):
            run_on_this_machine(job(tmp_path, model=str(model)), 1, factory=refused)


def test_a_worker_refuses_a_bundled_model_that_is_not_the_drivers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = job(tmp_path)
    assert read.model_hash == bundled.SHA256
    other = tmp_path / "nano.gguf"
    other.write_bytes(b"another version's")
    monkeypatch.setattr(bundled, "path", lambda: other)
    with pytest.raises(ModelFileError, match="expected the bundled model that the batch"):
        EnginePageReader(read, 1)


def test_the_current_folder_is_no_table_by_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a folder for the table"):
        Job(inputs=(str(tmp_path),), out="")


def test_a_rerun_tells_what_failed_before(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 2).with_name("b.pdf").write_bytes(b"%PDF-1.4 nothing else")
    run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    again = run_on_this_machine(job(tmp_path), 1, factory=refused)
    assert (again.n_kept, again.n_kept_failed) == (3, 1)
    assert "1 failed before; --retry-failed reads them again" in again.lines()


@pytest.mark.parametrize("price", ["-1", "nan", "inf"])
def test_a_price_is_a_number_of_0_or_more(
    tmp_path: Path, price: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["batch", str(tmp_path), "--out", str(tmp_path / "out"), "--price", price]) == 2
    assert "[--price] expected a price of 0 or more" in capsys.readouterr().err


def test_what_a_list_names_wrongly_costs_no_other(tmp_path: Path, pdf: MakePdf) -> None:
    (tmp_path / "empty").mkdir()
    names = tmp_path / "names.txt"
    names.write_text(f"{tmp_path}/gone.pdf\n{tmp_path}/empty\n{pdf('a.pdf', 2)}\n")
    listed = Job(inputs=(f"@{names}",), out=str(tmp_path / "out"))
    summary = run_on_this_machine(listed, 1, factory=NamingReader)
    assert summary.n_read == 4
    assert summary.failures.n == 2


def test_two_runs_do_not_write_one_folder_at_once(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 1)
    with Folder(str(tmp_path / "out")).claimed(), pytest.raises(ValueError, match="writing it"):
        run_on_this_machine(job(tmp_path), 1, factory=refused)
    assert run_on_this_machine(job(tmp_path), 1, factory=NamingReader).n_read == 1
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_what_a_killed_run_left_half_written_is_cleared_and_never_read(
    tmp_path: Path, pdf: MakePdf
) -> None:
    pdf("a.pdf", 1)
    left = tmp_path / "out" / ".0123.part"
    left.parent.mkdir()
    left.write_bytes(b"PAR1")
    assert run_on_this_machine(job(tmp_path), 1, factory=NamingReader).n_read == 1
    assert not left.exists()


def test_a_page_that_two_runs_wrote_has_one_row_after_the_next(
    tmp_path: Path, pdf: MakePdf
) -> None:
    pdf("a.pdf", 3)
    first = job(tmp_path)
    run_on_this_machine(first, 1, factory=NamingReader)
    folder = Folder(first.out)
    write_part(folder, [row for row in rows(tmp_path) if row["page"] > 1], "parquet")
    assert len(rows(tmp_path)) == 5
    assert run_on_this_machine(first, 1, factory=refused).n_read == 0
    assert texts(tmp_path) == expected(("a.pdf", 3))


@posix
def test_a_folder_that_must_not_be_written_to_is_told_before_anything_is_read(
    tmp_path: Path, pdf: MakePdf
) -> None:
    pdf("a.pdf", 1)
    (tmp_path / "file").write_text("")
    within_a_file = Job(inputs=(str(tmp_path / "in"),), out=str(tmp_path / "file" / "out"))
    with pytest.raises(OutputError, match="expected a folder that can be written to"):
        run_on_this_machine(within_a_file, 1, factory=refused)


def test_a_full_disk_ends_the_run_in_words_and_the_next_one_goes_on(
    tmp_path: Path, pdf: MakePdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    pdf("a.pdf", 3)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    read = job(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(storage.os, "fsync", full)
        with pytest.raises(OutputError, match="No space left on device"):
            run_on_this_machine(read, 1, factory=NamingReader)
    assert not (tmp_path / "out").exists()
    assert run_on_this_machine(read, 1, factory=NamingReader).n_read == 3


def test_a_file_that_is_no_part_of_the_table_is_named(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(OutputError, match=r"other\.parquet, which cannot be read as one"):
        run_on_this_machine(job(tmp_path), 1, factory=refused)


def test_line_separators_within_a_text_end_no_json_line(tmp_path: Path, pdf: MakePdf) -> None:
    found = pdf("a.pdf", 1)
    lines = job(tmp_path, format="jsonl")
    run_on_this_machine(lines, 1, factory=NamingReader)
    [part] = (tmp_path / "out").glob("*.jsonl")
    row = json.loads(part.read_text())
    part.write_text(json.dumps(row | {"text": "a\u2028b\u0085c"}, ensure_ascii=False) + "\n")
    assert run_on_this_machine(lines, 1, factory=refused).n_read == 0
    assert found.is_file()


def test_a_document_of_ten_thousand_pages_is_given_out_piece_by_piece(
    tmp_path: Path, pdf: MakePdf
) -> None:
    path = pdf("long.pdf", 10_000)
    task = opened(job(tmp_path), Stored(str(path), file_version(str(path))))
    pieces = [
        piece for parcel in Shares(1, 2).parcels(Shares(1, 2).split(task)) for piece in parcel
    ]
    assert max(len(piece.pages) for piece in pieces) == 8
    assert [page for piece in pieces for page in piece.pages] == list(range(1, 10_001))


def test_small_documents_share_a_parcel_and_every_worker_has_one() -> None:
    def task(n_pages: int) -> ReadTask:
        pages = tuple(range(1, n_pages + 1))
        return ReadTask(source="a", version="", document="", n_pages=n_pages, pages=pages)

    def sizes(shares: Shares, *n_pages: int) -> list[int]:
        split = (piece for n in n_pages for piece in shares.split(task(n)))
        return [sum(len(t.pages) for t in parcel) for parcel in shares.parcels(split)]

    assert sizes(Shares(500, 2), *[1] * 20) == [8, 8, 4]
    assert sizes(Shares(4, 2), *[1] * 4) == [1] * 4
    assert sizes(Shares(1, 2), 10) == [3, 3, 3, 1]
    assert max(sizes(Shares(40, 2), *range(1, 41))) == 8


def test_a_document_that_changes_while_it_is_read_is_no_reading(
    tmp_path: Path, pdf: MakePdf
) -> None:
    path = pdf("a.pdf", 3)
    read = job(tmp_path, load=LoadOptions(threads=1))
    task = opened(read, Stored(str(path), file_version(str(path))))
    found = []
    for row in EnginePageReader(read, 1).read((task,)):
        found.append(row["error_type"])
        os.utime(path)
    assert found == [None, "DocumentChangedError", "DocumentChangedError"]


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path, pdf: MakePdf) -> None:
    path = pdf("a.pdf", 1)
    run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"200", b"100"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run_on_this_machine(job(tmp_path), 1, factory=NamingReader).n_read == 1


def test_what_changed_just_now_in_an_object_store_may_change_again() -> None:
    from pyarrow import fs

    def version(age_s: float) -> str:
        info = fs.FileInfo("a", fs.FileType.File, size=7, mtime=time.time() - age_s)
        return storage.stored("s3://bucket/a", info).version

    assert version(0.5).count(":") == 2
    assert version(60).count(":") == 1


def test_without_resume_every_page_is_read_again_and_has_one_row(
    tmp_path: Path, pdf: MakePdf
) -> None:
    pdf("a.pdf", 3)
    run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    other = job(tmp_path, read=ReadOptions(max_tokens=7))
    run_on_this_machine(other, 1, factory=NamingReader)
    assert run_on_this_machine(job(tmp_path, resume=False), 1, factory=NamingReader).n_read == 3
    assert len({row["key"] for row in rows(tmp_path)}) == len(rows(tmp_path)) == 6


def test_ways_of_computing_are_settings_too(tmp_path: Path) -> None:
    exact = job(tmp_path, load=LoadOptions(exact=True))
    fast = job(tmp_path, load=LoadOptions(threads=3))
    assert exact.settings_hash != fast.settings_hash
    assert fast.settings_hash == job(tmp_path).settings_hash


INTERRUPTED = """
import sys
sys.path.append(sys.argv[1])
import crispvl.cli.batch as command
from crispvl.batch.run import run_on_this_machine
from crispvl.cli import main
from functools import partial
from worker_readers import SlowReader
if __name__ == "__main__":
    command.run_on_this_machine = partial(run_on_this_machine, factory=SlowReader)
    sys.exit(main(["batch", sys.argv[2], "--out", sys.argv[3], "--workers", "2"]))
"""


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_is_done_and_leaves_no_process(
    tmp_path: Path, pdf: MakePdf, number: int
) -> None:
    for i in range(20):
        pdf(f"{i:02d}.pdf", 20, width=200 + i)
    script = tmp_path / "driver.py"
    script.write_text(INTERRUPTED)
    names = [str(Path(__file__).parent), str(tmp_path / "in"), str(tmp_path / "out")]
    run = subprocess.Popen([sys.executable, str(script), *names], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    log = tmp_path / "read.log"
    while not (log.is_file() and log.read_text().count("\n") > 40):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(number)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 128 + number
    assert told.startswith("crispvl: ")
    assert "Traceback" not in told
    deadline = time.monotonic() + 30
    while any(lives(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kept = len(rows(tmp_path))
    assert kept >= 16
    rest = run_on_this_machine(job(tmp_path), 2, factory=SlowReader)
    assert rest.n_read == 400 - kept


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_parts_are_read_ahead_and_told_by_name(tmp_path: Path, pdf: MakePdf) -> None:
    for i in range(3):
        pdf(f"{i}.pdf", 1, width=200 + i)
        run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    parts = dict(identities(Folder(str(tmp_path / "out")), "parquet"))
    assert sorted(parts) == sorted(path.name for path in (tmp_path / "out").glob("part-*"))
    assert len({row["key"] for found in parts.values() for row in found}) == 3


@posix
def test_a_pipe_is_refused_and_one_in_a_list_fails_alone(tmp_path: Path, pdf: MakePdf) -> None:
    pipe, names = tmp_path / "pipe.png", tmp_path / "names.txt"
    os.mkfifo(pipe)
    with pytest.raises(DocumentError, match="found a pipe or a device"):
        run_on_this_machine(Job(inputs=(str(pipe),), out=str(tmp_path / "out")), 1)
    names.write_text(f"{pipe}\n{pdf('a.pdf', 1)}\n")
    listed = Job(inputs=(f"@{names}",), out=str(tmp_path / "out"))
    assert run_on_this_machine(listed, 1, factory=NamingReader).n_read == 2
    assert sorted(str(row["error_type"]) for row in rows(tmp_path)) == ["DocumentError", "None"]
