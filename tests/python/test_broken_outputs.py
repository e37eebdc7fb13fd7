"""Outputs that cannot be written: told once, in words, and no other document's loss."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from crispvl.cli import main
from crispvl.cli.records import write_whole
from PIL import Image

from .conftest import FakeModel

Capture = pytest.CaptureFixture[str]
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a full device")
posix = pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")

PLAIN = [
    [],
    ["--help"],
    ["--version"],
    ["recognize", "--help"],
    ["doctor"],
    ["doctor", "--json"],
]


@pytest.fixture
def command(core: FakeModel, page: Path) -> list[str]:
    return ["recognize", "-m", str(page)]


@pytest.fixture
def pages(page: Path, tmp_path: Path) -> list[str]:
    names = [tmp_path / f"{name}.png" for name in "abc"]
    for name in names:
        name.write_bytes(page.read_bytes())
    return list(map(str, names))


def run(arguments: list[str], out: Any, is_buffered: bool) -> tuple[int, str]:
    """Runs the command; returns its exit code and what it told."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    if not is_buffered:
        environment["PYTHONUNBUFFERED"] = "1"
    command = [sys.executable, "-m", "crispvl", *arguments]
    done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, env=environment)
    return done.returncode, done.stderr


@full
@pytest.mark.parametrize("is_buffered", [True, False])
@pytest.mark.parametrize("arguments", PLAIN, ids=" ".join)
def test_a_device_that_is_full_is_an_error(arguments: list[str], is_buffered: bool) -> None:
    with Path("/dev/full").open("w") as out:
        code, told = run(arguments, out, is_buffered)
    assert code == 2
    assert told == (
        "crispvl: [standard output] expected it to take what is written; found 'No space left on "
        "device'; make room, or write elsewhere\n"
    )


@posix
@pytest.mark.parametrize("is_buffered", [True, False])
@pytest.mark.parametrize("arguments", PLAIN, ids=" ".join)
def test_a_reader_that_went_away_is_no_error(arguments: list[str], is_buffered: bool) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert run(arguments, writer, is_buffered) == (141, "")
    finally:
        os.close(writer)


@full
def test_messages_that_cannot_be_written_do_not_end_the_run(tmp_path: Path) -> None:
    program = (
        "import sys; from crispvl.cli import complain, main; "
        "complain('first'); print(main(['--version']))"
    )
    with Path("/dev/full").open("w") as log:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "0")


@posix
def test_a_file_name_gives_the_terminal_no_orders(
    command: list[str], page: Path, tmp_path: Path, capsys: Capture
) -> None:
    odd = tmp_path / "a\x1b[2J\nb\x9b.png"
    odd.write_bytes(b"none")
    assert main([*command, str(page), str(odd), "-o", str(tmp_path / "out.txt")]) == 1
    told = capsys.readouterr().err
    assert told.count("a\\x1b[2J\\nb\\x9b.png") == len(told.splitlines()) - 1 == 2


@contextmanager
def small_files(n_bytes: int) -> Iterator[None]:
    """Files may have no more bytes; further ones fail."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@posix
@pytest.mark.parametrize("form", ["text", "json", "jsonl", "markdown", "html", "tsv"])
def test_a_file_that_cannot_be_written_is_named_and_the_old_one_kept(
    command: list[str], page: Path, tmp_path: Path, capsys: Capture, form: str
) -> None:
    out = tmp_path / "out"
    if form != "jsonl":  # whose records appear one by one
        out.write_text("old")
    with small_files(4):
        assert main([*command, str(page), "--format", form, "-o", str(out)]) == 2
    assert (
        f"[{out}] expected it to take what is written; found 'File too large'"
        in capsys.readouterr().err
    )
    assert out.read_text() == ("" if form == "jsonl" else "old")
    assert not list(tmp_path.glob(".*"))


def without_room(monkeypatch: pytest.MonkeyPatch, source: str, number: int) -> None:
    """Records of a source cannot be written."""

    def write(file: Any, data: bytes) -> None:
        if source.encode() in data:
            raise OSError(number, os.strerror(number))
        write_whole(file, data)

    monkeypatch.setattr("crispvl.cli.records.write_whole", write)


def sources(path: Path) -> list[str]:
    return [Path(json.loads(line)["source"]).name for line in path.read_text().splitlines()]


def test_a_record_that_cannot_be_written_is_its_documents_own_failure(
    command: list[str], pages: list[str], tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    job = [*command, *pages, "--format", "jsonl", "-o", f"{out}/"]
    with pytest.MonkeyPatch.context() as monkeypatch:
        without_room(monkeypatch, "b.png", errno.EFBIG)
        assert main(job) == 1
    told = capsys.readouterr().err
    assert told.count(os.strerror(errno.EFBIG)) == 1
    assert f"[{out / 'b.jsonl'}]" in told
    found = {name: sources(out / f"{name}.jsonl") for name in "abc"}
    assert found == {"a": ["a.png"], "b": [], "c": ["c.png"]}
    assert main([*job, "--resume"]) == 0
    assert sources(out / "b.jsonl") == ["b.png"]
    assert sources(out / "a.jsonl") == ["a.png"]


def test_a_full_disk_is_told_once_and_ends_the_run(
    command: list[str], pages: list[str], tmp_path: Path, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    without_room(monkeypatch, "b.png", errno.ENOSPC)
    out = tmp_path / "out"
    assert main([*command, *pages, "--format", "jsonl", "-o", f"{out}/"]) == 2
    assert capsys.readouterr().err.count(os.strerror(errno.ENOSPC)) == 1
    assert sources(out / "a.jsonl") == ["a.png"]
    assert not any((out / f"{name}.jsonl").read_bytes() for name in "bc")


def test_a_document_whose_pages_cannot_be_recorded_is_told_once(
    command: list[str], page: Path, tmp_path: Path, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    long, image = tmp_path / "long.tif", Image.open(page).convert("RGB")
    image.save(long, save_all=True, append_images=[image] * 5)
    without_room(monkeypatch, "long.tif", errno.EFBIG)
    job = [*command, str(long), "--format", "jsonl", "-o", f"{tmp_path / 'out'}/"]
    assert main(job) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "code"), [(OSError(errno.ENOSPC, "No space"), 2), (MemoryError(), 1)]
)
def test_what_is_short_while_a_pdf_is_written_is_not_its_fault(
    command: list[str], pages: list[str], tmp_path: Path, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int,
) -> None:  # fmt: skip
    ocrmypdf = pytest.importorskip("ocrmypdf")

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(ocrmypdf, "ocr", fail)
    assert main([*command, *pages, "--format", "pdf", "-o", f"{tmp_path / 'out'}/"]) == code
    told = capsys.readouterr().err
    assert "repair" not in told
    assert told.count("No space" if code == 2 else "enough memory") == (1 if code == 2 else 3)


def test_where_one_of_several_files_cannot_be_written_all_old_ones_stay(
    command: list[str], page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("crispvl.cli.sinks.write_json", fail)
    old = [tmp_path / f"out.{suffix}" for suffix in ("txt", "json", "tsv")]
    for path in old:
        path.write_text("old")
    job = [*command, str(page), "--format", "text,json,tsv", "-o", str(tmp_path / "out")]
    assert main(job) == 2
    assert [path.read_text() for path in old] == ["old"] * 3
