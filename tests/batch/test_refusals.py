"""What a batch is told wrongly is refused in words, before anything is read or written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
from crispvl.batch.documents import check_inputs, find_documents
from crispvl.batch.job import Job
from crispvl.batch.run import run_on_this_machine
from crispvl.batch.storage import Folder
from crispvl.batch.table import settings_written
from crispvl.cli import main
from crispvl.errors import DocumentError, ModelFileError
from crispvl.options import ReadOptions
from test_batch import job, rows
from worker_readers import NamingReader, refused

MakePdf = Callable[..., Path]
posix = pytest.mark.skipif(os.name != "posix", reason="as POSIX has it")


@pytest.mark.parametrize("name", ["", "@"])
def test_an_empty_name_is_called_one(name: str) -> None:
    with pytest.raises(DocumentError, match=f"found {name!r}, an empty name"):
        check_inputs([name])


@pytest.mark.parametrize("name", ["s3:/scans", "@s3:/scans/names.txt"])
def test_an_input_that_lacks_a_slash_is_told_so(name: str) -> None:
    with pytest.raises(DocumentError, match="one slash after s3:"):
        check_inputs([name])


@pytest.mark.parametrize("name", ["s3://", "s3:///", "gs://"])
def test_an_address_without_a_bucket_is_told_so(name: str) -> None:
    with pytest.raises(DocumentError, match="found no bucket"):
        Folder(name)
    with pytest.raises(DocumentError, match="found no bucket"):
        check_inputs([name])


@pytest.mark.parametrize("content", ["", " \n\n"])
def test_a_list_without_a_name_is_an_error(tmp_path: Path, content: str) -> None:
    names = tmp_path / "names.txt"
    names.write_text(content)
    with pytest.raises(DocumentError, match="found an empty file"):
        run_on_this_machine(Job(inputs=(f"@{names}",), out=str(tmp_path / "out")), 1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("--page-timeout", seconds) for seconds in ("0", "-1", "nan", "inf", "1e9")],
        *[("--attempts", n) for n in ("0", "-3")],
        ("--out", ""),
    ],
)
def test_a_value_that_is_none_is_told_with_its_option(
    tmp_path: Path, pdf: MakePdf, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(pdf("a.pdf", 1))
    assert main(["batch", name, "--out", str(tmp_path / "out"), f"{option}={value}"]) == 2
    assert f"crispvl: [{option}] expected" in capsys.readouterr().err


def test_a_job_that_could_not_start_leaves_nothing(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 1)
    model = tmp_path / "model.gguf"
    model.write_bytes(b"no model")
    deep = Job(inputs=(str(tmp_path / "in"),), out=str(tmp_path / "a" / "b"), model=str(model))
    with pytest.raises(ModelFileError):
        run_on_this_machine(deep, 1)
    assert not (tmp_path / "a").exists()


def test_a_job_that_could_not_start_leaves_an_older_table_as_it_was(
    tmp_path: Path, pdf: MakePdf
) -> None:
    pdf("a.pdf", 1)
    run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    before = sorted(path.name for path in (tmp_path / "out").iterdir())
    other = job(tmp_path, read=ReadOptions(max_tokens=7))
    with pytest.raises(ValueError, match="expected no worker"):
        run_on_this_machine(other, 1, factory=refused)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == before


def test_what_explains_rows_stays_where_a_job_fails_after_the_first(
    tmp_path: Path, pdf: MakePdf
) -> None:
    pdf("a.pdf", 1)
    folder = Folder(str(tmp_path / "out"))

    def fail_later() -> None:
        with folder.claimed(), settings_written(job(tmp_path), folder):
            folder.write("part-0.parquet", b"")
            raise OSError("later")

    with pytest.raises(OSError, match="later"):
        fail_later()
    assert list((tmp_path / "out").glob("_settings-*.json"))


@posix
def test_a_link_that_leads_nowhere_has_a_row_that_says_so(tmp_path: Path, pdf: MakePdf) -> None:
    folder = pdf("a.pdf", 1).parent
    (folder / "b.pdf").symlink_to(folder / "b.pdf")
    (folder / "c.pdf").symlink_to("gone.pdf")
    run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    _, circle, nowhere = (row["error"] for row in rows(tmp_path))
    assert f"found a link to '{folder}/b.pdf', which leads nowhere" in circle
    assert "found a link to 'gone.pdf', which leads nowhere" in nowhere
    assert nowhere.startswith(f"[{folder}/c.pdf] expected")


def test_a_pdf_that_is_none_has_a_row_that_speaks_of_a_pdf(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 1).write_bytes(b"<html>404</html>")
    run_on_this_machine(job(tmp_path), 1, factory=refused)
    [row] = rows(tmp_path)
    assert row["error_type"] == "DocumentError"
    assert "expected a PDF, as its name says; found 16 bytes of another kind" in row["error"]


def test_a_rerun_fails_as_the_first_run_while_its_documents_have_failures_on_record(
    tmp_path: Path, pdf: MakePdf, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = pdf("a.pdf", 1)
    broken.write_bytes(b"%PDF-1.4 nothing else")
    command = ["batch", str(broken), "--out", str(tmp_path / "out"), "--workers", "1"]
    assert main(command) == 1
    assert "1 failed: DocumentError" in capsys.readouterr().err
    for _ in range(2):
        assert main(command) == 1
        assert "1 failed before; --retry-failed reads them again" in capsys.readouterr().err
        os.utime(broken)  # it is opened again, and known by its content


def test_failures_of_other_documents_are_not_those_of_a_run(tmp_path: Path, pdf: MakePdf) -> None:
    pdf("a.pdf", 1).with_name("b.pdf").write_bytes(b"%PDF-1.4 nothing else")
    assert run_on_this_machine(job(tmp_path), 1, factory=NamingReader).failures.n == 1
    only = Job(inputs=(str(tmp_path / "in" / "a.pdf"),), out=str(tmp_path / "out"))
    assert run_on_this_machine(only, 1, factory=refused).n_kept_failed == 0
    pdf("b.pdf", 1)
    mended = run_on_this_machine(job(tmp_path), 1, factory=NamingReader)
    assert (mended.n_read, mended.n_kept_failed) == (1, 0)
    assert list(find_documents([str(tmp_path / "in")]))
