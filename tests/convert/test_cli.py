"""The ``convert`` command and its twin under ``models/``."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import crispvl
import pytest
from crispvl.cli import main
from gguf import GGUFReader
from tiny import make_checkpoint
from tiny.rows import row

SCRIPT = Path(__file__).resolve().parents[2] / "models" / "convert-internvl2-to-gguf.py"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return make_checkpoint(row("base"), tmp_path / "checkpoint")


def run(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


def test_command_writes_the_file_and_prints_its_name(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "model.gguf"
    code = run("--model", checkpoint, "--output", output, "--dtype", "q8_0", "--prompt", "text=A=B")
    assert code == 0
    out, err = capsys.readouterr()
    assert out == f"{output}\n"
    assert "qwen2: 73 tensors" in err
    assert GGUFReader(output).fields["crispvl.prompt.text"].contents() == "A=B"


class Full(io.StringIO):
    """Standard error on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_summary_that_cannot_be_written_does_not_undo_the_work(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "model.gguf"
    monkeypatch.setattr("sys.stderr", Full())
    assert run("--model", checkpoint, "--output", output) == 0
    assert run("--model", tmp_path / "nothing", "--output", output) == 2
    assert output.exists()


def test_pair_prints_both_names(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", checkpoint, "--output", tmp_path / "m.gguf", "--layout", "pair") == 0
    names = capsys.readouterr().out.split()
    assert names == [str(tmp_path / "m.gguf"), str(tmp_path / "mmproj-m.gguf")]


def test_unusable_checkpoint_is_one_line_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", tmp_path, "--output", tmp_path / "m.gguf") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("crispvl: [")
    assert err.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="no folder here refuses everyone")
@pytest.mark.parametrize("name", ["/proc/model.gguf", "x" * 300])
def test_a_file_that_cannot_be_made_is_named_as_it_was_given(
    name: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", checkpoint, "--output", tmp_path / name) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"crispvl: [{tmp_path / name}] expected a path")


@pytest.mark.parametrize("n_bytes", [100, 20_000])
def test_a_disk_without_room_is_told_with_the_name_of_the_file(
    n_bytes: int, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        assert run("--model", checkpoint, "--output", tmp_path / "model.gguf") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f"[{tmp_path / 'model.gguf'}] expected it to take what" in capsys.readouterr().err


@pytest.mark.parametrize("prompt", ["OCR", "tabel=x"])
def test_prompt_of_no_known_name_is_wrong_usage(prompt: str, tmp_path: Path) -> None:
    assert run("--model", tmp_path, "--output", tmp_path / "m.gguf", "--prompt", prompt) == 2


def test_script_does_what_the_command_does(checkpoint: Path, tmp_path: Path) -> None:
    run("--model", checkpoint, "--output", tmp_path / "command.gguf")
    package = str(Path(crispvl.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, SCRIPT, "--model", checkpoint, "--output", tmp_path / "script.gguf"],
        env={**os.environ, "PYTHONPATH": package},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path / 'script.gguf'}\n"
    script, command = tmp_path / "script.gguf", tmp_path / "command.gguf"
    assert script.read_bytes() == command.read_bytes()
