"""How a run ends: by a signal, without memory, on a pipe; always in words and with nothing half."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import crispvl
import pytest
from crispvl import CrispOCR
from crispvl.cli import main
from crispvl.errors import DocumentError, OutOfMemoryError
from crispvl.inputs.images import open_image
from crispvl.reading import whole_page_reader
from crispvl.results.outputs import whole_files
from PIL import Image

from .conftest import FakeModel

Capture = pytest.CaptureFixture[str]
posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


@pytest.fixture
def command(core: FakeModel, page: Path) -> list[str]:
    return ["recognize", "-m", str(page)]


def signal_within(core: FakeModel, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = core.next_token

    def next_token(written: list[int], sampler: Any) -> int:
        if len(written) == 2:
            os.kill(os.getpid(), number)
        return answer(written, sampler)

    monkeypatch.setattr(core, "next_token", next_token)


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_a_signal_leaves_no_part_of_a_file(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch, name: str, form: str,
) -> None:  # fmt: skip
    number = signal.Signals[name]
    signal_within(core, number, monkeypatch)
    out = tmp_path / "new"
    job = [*command, str(page), "--format", form, "-o", f"{out}/"]
    assert main(job) == 128 + number
    assert f"crispvl: ended by {name}" in capsys.readouterr().err
    assert [file for file in out.iterdir() if file.suffix != ".jsonl"] == []
    assert signal.getsignal(number) is signal.SIG_DFL


@posix
def test_a_signal_that_nohup_ignores_stays_ignored(
    command: list[str], core: FakeModel, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal_within(core, signal.SIGHUP, monkeypatch)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main([*command, str(page)]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@posix
def test_a_signal_waits_until_all_files_have_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def interrupted(part: Path, target: Path) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    files = [tmp_path / name for name in "abc"]

    def write() -> None:
        with whole_files(files) as parts:
            for part in parts:
                part.write_text("new")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert sorted(tmp_path.iterdir()) == files
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_while_temporary_files_are_removed_leaves_none(
    command: list[str], page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pytest.importorskip("ocrmypdf")
    number, removed = signal.Signals[name], []

    def interrupted(path: Any, *arguments: Any, **options: Any) -> None:
        if Path(path).name.startswith("crispvl-"):
            removed.append(Path(path))
            os.kill(os.getpid(), number)
        shutil.rmtree(path, *arguments, **options)

    monkeypatch.setattr("tempfile._shutil", SimpleNamespace(rmtree=interrupted))
    job = [*command, str(page), "--format", "pdf", "-o", str(tmp_path / "out.pdf")]
    assert main(job) == 128 + number
    assert removed
    assert not any(folder.exists() for folder in removed)


INTERRUPT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from crispvl.__main__ import main
sys.exit(main())
"""


@posix
@pytest.mark.parametrize("module", ["crispvl.cli", "numpy", "crispvl.reading.ocr", "PIL.Image"])
def test_ctrl_c_ends_the_command_in_words_while_it_is_imported(module: str, page: Path) -> None:
    program = INTERRUPT.format(module=module)
    ended = subprocess.run(
        [sys.executable, "-c", program, "recognize", str(page)], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (130, "crispvl: interrupted\n")


def test_little_is_imported_before_the_command_heeds_ctrl_c() -> None:
    program = (
        "import sys; before = set(sys.modules); import crispvl.__main__;"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    listed = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(crispvl.__file__).parents[1])},
    )
    slow = {"ctypes", "dataclasses", "email", "inspect", "json", "numpy", "PIL", "zipfile"}
    assert "crispvl" in listed.stdout.split(), listed.stderr
    assert slow.isdisjoint(listed.stdout.split())


def test_every_public_name_is_found_when_it_is_asked_for() -> None:
    homes = {name for names in crispvl._HOMES.values() for name in names}
    assert homes == set(crispvl.__all__)
    assert all(getattr(crispvl, name) is not None for name in crispvl.__all__)
    assert crispvl.tiling.choose_grid(100, 100) == (1, 1)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        crispvl.nothing  # noqa: B018


def without_memory(monkeypatch: pytest.MonkeyPatch, width_px: int) -> None:
    """Images of a width need more memory than there is."""
    prepare = whole_page_reader.prepare_page

    def prepare_page(image: Image.Image, *arguments: Any) -> Any:
        if image.width == width_px:
            raise MemoryError
        return prepare(image, *arguments)

    monkeypatch.setattr(whole_page_reader, "prepare_page", prepare_page)


def test_a_page_that_needs_too_much_memory_is_a_record_of_its_own(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    wide, last, out = (tmp_path / name for name in ("wide.png", "z.png", "out.jsonl"))
    Image.open(page).resize((90, 42)).save(wide)
    last.write_bytes(page.read_bytes())
    without_memory(monkeypatch, 90)
    job = [*command, str(page), str(wide), str(last), "--format", "jsonl", "-o", str(out)]
    assert main(job) == 1
    assert f"[{wide}] expected enough memory" in capsys.readouterr().err
    errors = [json.loads(line)["error"] for line in out.read_text().splitlines()]
    assert [error and error["type"] for error in errors] == [None, "OutOfMemoryError", None]
    n_before = len(core.prompts)
    assert main([*job, "--resume"]) == 1
    assert len(core.prompts) == n_before
    with pytest.raises(OutOfMemoryError, match=r"wide\.png"):
        CrispOCR(page).recognize(wide)


def test_an_error_of_another_kind_is_the_documents_own(
    command: list[str], page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RecursionError("too deep")

    monkeypatch.setattr(whole_page_reader, "prepare_page", fail)
    out = tmp_path / "out.jsonl"
    assert main([*command, str(page), "--format", "jsonl", "-o", str(out)]) == 1
    assert json.loads(out.read_text())["error"] == {
        "type": "RecursionError", "message": "too deep"
    }  # fmt: skip


def test_memory_that_runs_out_elsewhere_is_told_in_words(
    command: list[str], page: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("crispvl.cli.recognize.CrispOCR", fail)
    assert main([*command, str(page)]) == 2
    assert capsys.readouterr().err.startswith("crispvl: [memory] expected enough memory")


@posix
@pytest.mark.parametrize("form", ["text", "jsonl", "json", "pdf"])
def test_a_pipe_is_read_once(command: list[str], page: Path, tmp_path: Path, form: str) -> None:
    if form == "pdf":
        pytest.importorskip("ocrmypdf")
    pipe, out = tmp_path / "pipe", tmp_path / f"out.{form}"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(page.read_bytes(),), daemon=True)
    writer.start()
    assert main([*command, str(pipe), "--format", form, "-o", str(out)]) == 0
    writer.join(10)
    assert out.read_bytes().startswith(b"%PDF" if form == "pdf" else (b"Hello", b"{"))


@posix
def test_a_pipe_without_end_is_its_own_documents_failure(
    command: list[str], page: Path, tmp_path: Path, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("crispvl.inputs.pipes.MAX_STREAM_BYTES", 1 << 20)
    assert main([*command, "/dev/zero", str(page)]) == 1
    told = capsys.readouterr()
    assert told.out == "Hello\n"
    assert "[/dev/zero] expected a pipe of at most 1 MiB; found more" in told.err
    with pytest.raises(DocumentError, match="found more"):
        open_image("/dev/zero")
