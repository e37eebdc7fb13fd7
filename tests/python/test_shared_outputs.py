"""Outputs that several runs write: locked, continued, and nobody's document lost."""

from __future__ import annotations

import base64
import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crispvl.cli import main
from crispvl.cli.answers import answer_all
from crispvl.cli.manifest import Manifest
from crispvl.cli.output import names_in_folder
from crispvl.cli.records import RecordFile
from crispvl.inputs.utf8 import path_name
from PIL import Image

from .conftest import FakeModel

Capture = pytest.CaptureFixture[str]
posix = pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")

HOLDER = """
import sys
from pathlib import Path
from crispvl.cli.records import RecordFile
with RecordFile(Path(sys.argv[1])) as file:
    file.append({"source": "first", "number": 1, "error": None})
    print("begun", flush=True)
    sys.stdin.read()
"""

FOLDER_HOLDER = """
import sys
from pathlib import Path
from crispvl.cli.manifest import Manifest
with Manifest(Path(sys.argv[1])):
    print("begun", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def command(core: FakeModel, page: Path) -> list[str]:
    return ["recognize", "-m", str(page)]


def records(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_an_output_that_another_process_writes_is_refused_and_kept(
    command: list[str], page: Path, tmp_path: Path, capsys: Capture, more: list[str]
) -> None:
    out = tmp_path / "out.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"begun\n"
        job = [*command, str(page), "--format", "jsonl", "-o", str(out), *more]
        assert main(job) == 2
        message = capsys.readouterr().err
        assert f"[{out}]" in message
        if sys.platform in ("linux", "darwin"):
            assert f"process {process.pid} writing it" in message
        assert [record["source"] for record in records(out)] == ["first"]
    finally:
        process.communicate(b"")
    assert main([*command, str(page), "--format", "jsonl", "-o", str(out)]) == 0
    assert [record["source"] for record in records(out)] == [str(page)]


def test_eval_keeps_other_runs_from_its_folder_until_all_models_are_done(
    core: FakeModel, page: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rapidfuzz")
    pages, out, codes = tmp_path / "pages", tmp_path / "out", []
    pages.mkdir()
    (pages / "page.png").write_bytes(page.read_bytes())
    (pages / "page.txt").write_text("Hello")

    def answer(*given: Any) -> Any:
        codes.append(main(["recognize", str(page), "-m", str(page), "-o", str(out)]))
        return answer_all(*given)

    monkeypatch.setattr("crispvl.cli.evaluate.answer_all", answer)
    models = ["-m", str(page), "--against", str(page)]
    assert main(["eval", str(pages), *models, "-o", str(out)]) == 0
    assert codes == [2, 2]
    assert f"[{out}] expected an output that no other run writes" in capsys.readouterr().err
    assert {file.suffix for file in out.iterdir()} == {".jsonl"}
    assert len(list(out.iterdir())) == 2


@pytest.mark.parametrize("more", [[], ["--resume"]])
@pytest.mark.parametrize("form", ["text", "jsonl"])
def test_a_folder_that_another_process_writes_into_is_refused_at_once(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path, capsys: Capture,
    more: list[str], form: str,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    out.mkdir()
    job = [*command, str(page), "--format", form, "-o", str(out), *more]
    process = subprocess.Popen(
        [sys.executable, "-c", FOLDER_HOLDER, str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"begun\n"
        assert main(job) == 2
        message = capsys.readouterr().err
        assert f"[{out}]" in message
        if sys.platform in ("linux", "darwin"):
            assert f"process {process.pid} writing it" in message
        assert [file.name for file in out.iterdir()] == [Manifest.NAME]
        assert not core.prompts
    finally:
        process.communicate(b"")
    assert main(job) == 0
    assert len(list(out.iterdir())) == 2


@posix
def test_a_run_that_wrote_nothing_leaves_no_list_in_its_folder(
    command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"broken")
    assert main([*command, str(tmp_path / "bad.png"), "-o", f"{tmp_path / 'out'}/"]) == 1
    assert not list((tmp_path / "out").iterdir())


def test_two_runs_of_one_process_do_not_share_an_output(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with RecordFile(out), pytest.raises(ValueError, match="another run writing it"):
        RecordFile(out)
    with RecordFile(out) as file:
        file.append({"source": "a", "number": 1, "error": None})
    assert len(records(out)) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a disk that is full")
def test_a_full_disk_is_told_with_the_name_of_the_file() -> None:
    with RecordFile(Path("/dev/full")) as file, pytest.raises(OSError, match="/dev/full") as caught:
        file.append({"source": "a", "number": 1, "error": None})
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a disk that is full")
@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_a_device_that_is_full_is_called_by_its_own_name(
    command: list[str], page: Path, capsys: Capture, form: str
) -> None:
    assert main([*command, str(page), "--format", form, "-o", "/dev/full"]) == 2
    assert "[/dev/full]" in capsys.readouterr().err


def test_records_of_failures_that_are_not_tried_again_stay(
    command: list[str], page: Path, tmp_path: Path
) -> None:
    bad, other = tmp_path / "bad.png", tmp_path / "other.png"
    bad.write_bytes(b"broken")
    other.write_bytes(b"broken")
    job = [*command, "--format", "jsonl", "-o", str(tmp_path / "out.jsonl")]
    assert main([*job, str(bad), str(other)]) == 1
    other.write_bytes(page.read_bytes())
    assert main([*job, str(other), "--resume", "--retry-failed"]) == 0
    found = {record["source"]: record["error"] for record in records(tmp_path / "out.jsonl")}
    assert found[str(other)] is None
    assert found[str(bad)]["type"] == "ImageError"
    assert len(records(tmp_path / "out.jsonl")) == 2
    assert main([*job, str(other), "--resume"]) == 0  # the failure is of another call


def test_a_page_that_is_given_twice_is_read_once(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    again = os.path.join(page.parent, ".", page.name)
    job = [*command, str(page), again, str(page), "--format", "jsonl", "-o", str(out)]
    assert main(job) == 0
    assert main([*job, "--resume"]) == 0
    assert [record["source"] for record in records(out)] == [str(page)]
    assert len(core.prompts) == 1


def test_data_uris_of_one_type_are_documents_of_their_own(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path
) -> None:
    turned = Image.open(page).transpose(Image.Transpose.ROTATE_180)
    turned.save(tmp_path / "turned.png")
    files = [page, tmp_path / "turned.png"]
    uris = [f"data:;base64,{base64.b64encode(file.read_bytes()).decode()}" for file in files]
    job = [*command, "--format", "jsonl", "-o", str(tmp_path / "out.jsonl"), "--resume"]
    for given in (uris[:1], uris, uris):
        assert main([*job, *given]) == 0
    assert len({record["source"] for record in records(tmp_path / "out.jsonl")}) == 2
    assert len(core.prompts) == 2


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "markdown"])
def test_a_folder_takes_no_document_for_another_of_the_same_name(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path, form: str
) -> None:
    out = tmp_path / "out"
    names = []
    for folder, answer in (("a", b"Alpha"), ("b", b"Beta")):
        (tmp_path / folder).mkdir()
        names.append(str(tmp_path / folder / "x.png"))
        Path(names[-1]).write_bytes(page.read_bytes())
        core.answer = list(answer)
        assert main([*command, names[-1], "--format", form, "-o", f"{out}/", "--resume"]) == 0
    files = [file for file in out.iterdir() if not file.name.startswith(".")]
    texts = [file.read_text() for file in files]
    assert len(files) == 2
    assert sum("Alpha" in text for text in texts) == sum("Beta" in text for text in texts) == 1
    n_before = len(core.prompts)
    for name in names:
        assert main([*command, name, "--format", form, "-o", f"{out}/", "--resume"]) == 0
    assert len(core.prompts) == n_before
    assert len(list(out.iterdir())) == 3


def test_a_folder_is_not_continued_with_another_prompt(
    command: list[str], page: Path, tmp_path: Path, capsys: Capture
) -> None:
    job = [*command, str(page), "-o", f"{tmp_path / 'out'}/"]
    assert main(job) == 0
    assert main([*job, "--resume"]) == 0
    assert main([*job, "--resume", "--prompt", "What is the total?"]) == 2
    assert "prompt None instead of 'What is the total?'" in capsys.readouterr().err
    assert main([*job, "--prompt", "What is the total?"]) == 0


def test_a_document_called_like_the_manifest_is_written_beside_it(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path
) -> None:
    scan, out = tmp_path / ".crispvl.png", tmp_path / "out"
    scan.write_bytes(page.read_bytes())
    job = [*command, str(scan), "--format", "jsonl", "-o", f"{out}/", "--resume"]
    assert main(job) == main(job) == 0
    assert len(core.prompts) == 1
    (made,) = out.glob(".crispvl-*.jsonl")
    assert [record["text"] for record in records(made)] == ["Hello"]


def test_a_name_that_looks_like_one_of_ours_loses_no_document(tmp_path: Path) -> None:
    twins = ["a/x.png", "b/x.png"]
    made = names_in_folder(tmp_path, twins, ".txt")
    crafted = [*twins, f"c/{made[0].stem}.png", "scan-20240101.png"]
    names = names_in_folder(tmp_path, crafted, ".txt")
    assert len({name.name.casefold() for name in names}) == 4
    assert names[:2] == made
    assert names[3].name == "scan-20240101.txt"


@posix
def test_a_file_is_recorded_under_one_name_in_every_locale(monkeypatch: Any) -> None:
    raw = "café.png".encode()
    assert path_name(os.fsdecode(raw)) == "café.png"
    monkeypatch.setattr(os, "fsencode", lambda name: name.encode("latin-1"))
    assert path_name(raw.decode("latin-1")) == "café.png"
    assert path_name("\u4e00.png") == "\u4e00.png"  # no file has this name there


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
@pytest.mark.parametrize("form", ["text", "jsonl"])
def test_names_that_are_no_utf8_are_written_into_a_folder_and_passed_over_later(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path, form: str
) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for name in (b"caf\xe9.png", b"caf\xe8.png", b"cafe.png"):
        (scans / os.fsdecode(name)).write_bytes(page.read_bytes())
    job = [*command, str(scans), "--format", form, "-o", f"{out}/"]
    assert main(job) == 0
    assert len(core.prompts) == 3
    assert main([*job, "--resume"]) == 0
    assert len(core.prompts) == 3
    other = tmp_path / os.fsdecode(b"caf\xe9.png")
    other.write_bytes(page.read_bytes())
    assert main([*command, str(other), "--format", form, "-o", f"{out}/", "--resume"]) == 0
    assert len([file for file in out.iterdir() if not file.name.startswith(".")]) == 4


@posix
@pytest.mark.parametrize("form", ["text", "jsonl", "markdown"])
def test_names_as_long_as_the_system_allows_are_read_among_others(
    command: list[str], page: Path, tmp_path: Path, form: str
) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for stem in ("a" * 241, "ä" * 125, "a" * 251, "short"):
        (scans / f"{stem}.png").write_bytes(page.read_bytes())
    job = [*command, str(scans), "--format", form, "-o", f"{out}/"]
    assert main(job) == 0
    files = [file for file in out.iterdir() if not file.name.startswith(".")]
    assert len(files) == 4
    assert all("Hello" in file.read_text() for file in files)
    assert not list(out.glob("*.part"))
    assert main([*job, "--resume"]) == 0


@posix
def test_an_output_that_cannot_be_opened_is_its_own_documents_failure(
    command: list[str], page: Path, tmp_path: Path, capsys: Capture, monkeypatch: Any
) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(page.read_bytes())
    opened: Callable[..., Any] = Path.open

    def refuse(self: Path, *arguments: Any, **more: Any) -> Any:
        if self.name == "page.jsonl":
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **more)

    monkeypatch.setattr(Path, "open", refuse)
    out = tmp_path / "out"
    job = [*command, str(page), str(other), "--format", "jsonl", "-o", f"{out}/"]
    assert main(job) == 1
    assert "Permission denied" in capsys.readouterr().err
    assert len(records(out / "other.jsonl")) == 1


@pytest.mark.parametrize(
    "record",
    [
        '{"source": null, "number": 1, "error": null}',
        '{"source": 5, "number": 1, "error": null}',
        '{"source": "a", "number": "1", "error": null}',
        '{"source": "a", "number": {}, "error": null}',
        '{"source": "a", "number": 1}',
        "null",
        pytest.param("[" * 100_000, id="nested"),
    ],
)
def test_lines_that_are_no_records_are_refused_in_words(
    record: str, command: list[str], page: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text(f"{record}\n")
    assert main([*command, str(page), "--format", "jsonl", "-o", str(out), "--resume"]) == 2
    assert "found something else in line 1" in capsys.readouterr().err
    assert out.read_text() == f"{record}\n"


def test_a_manifest_that_cannot_be_opened_is_refused_in_words(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    (out / Manifest.NAME).mkdir(parents=True)
    assert main([*command, str(page), "-o", str(out)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"crispvl: [{out / Manifest.NAME}] expected ")
    assert "Errno" not in told
    assert main([*command, str(page), "-o", f"{page}/below/"]) == 2
    assert capsys.readouterr().err.startswith(f"crispvl: [{page / 'below'}] expected ")
    assert not core.prompts


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs in folders")
@pytest.mark.parametrize("name", [Manifest.NAME, "bundled.jsonl"])
def test_a_fifo_in_a_folder_of_outputs_is_refused_and_not_waited_for(
    name: str, core: FakeModel, page: Path, tmp_path: Path, capsys: Capture
) -> None:
    pytest.importorskip("rapidfuzz")
    pages, out = tmp_path / "pages", tmp_path / "out"
    pages.mkdir()
    out.mkdir()
    (pages / "page.png").write_bytes(page.read_bytes())
    (pages / "page.txt").write_text("Hello")
    os.mkfifo(out / name)
    assert main(["eval", str(pages), "-o", str(out)]) == 2
    told = capsys.readouterr().err
    assert "] expected a file on a disk; found" in told
    assert str(out / name) in told
    assert (out / name).is_fifo()
    assert not core.prompts


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs in folders")
@pytest.mark.parametrize("name", [Manifest.NAME, "page.jsonl"])
def test_a_fifo_in_a_folder_of_texts_is_refused_and_not_waited_for(
    name: str, command: list[str], core: FakeModel, page: Path, tmp_path: Path, capsys: Capture
) -> None:
    os.mkfifo(tmp_path / name)
    assert main([*command, str(page), "--format", "jsonl", "-o", str(tmp_path)]) == 2
    assert "] expected a file on a disk; found" in capsys.readouterr().err
    assert not core.prompts


def test_a_manifest_of_anything_else_is_passed_over(
    command: list[str], page: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    name = f"{page.stem}.txt"
    lines = [f'{{"source": 5, "output": "{name}"}}', '{"source": "a", "output": 5}', "[" * 100_000]
    (out / ".crispvl.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (out / name).write_text("nobody's")
    assert main([*command, str(page), "-o", str(out), "--resume"]) == 0
    assert (out / name).read_text() != "nobody's"


def changed(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    os.utime(file, ns=(1, 1))  # whatever the clock says


@pytest.mark.parametrize("form", ["text", "jsonl", "markdown"])
@pytest.mark.parametrize("folder", [False, True])
def test_a_file_that_changed_since_it_was_read_is_read_again(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path, capsys: Capture,
    form: str, folder: bool,
) -> None:  # fmt: skip
    if form != "jsonl" and not folder:
        pytest.skip("only records are continued within a file")
    files = [tmp_path / f"{name}.png" for name in "ab"]
    for file in files:
        file.write_bytes(page.read_bytes())
    out = f"{tmp_path / 'out'}/" if folder else str(tmp_path / "out.jsonl")
    job = [*command, *map(str, files), "--format", form, "-o", out, "--resume"]
    assert main(job) == main(job) == 0
    assert "changed since" not in capsys.readouterr().err
    changed(files[0], page.read_bytes() + b"\0")
    core.answer = list(b"Other")
    assert main(job) == 0
    assert f"{files[0]}: changed since it was read" in capsys.readouterr().err
    assert len(core.prompts) == 3
    found = sorted(Path(out).glob("[ab].*")) if folder else [Path(out)]
    texts = [line for file in found for line in file.read_text().splitlines() if line]
    if form == "jsonl":
        texts = [json.loads(text)["text"] for text in texts]
    assert texts == ["Other", "Hello"]
    assert main(job) == 0
    assert len(core.prompts) == 3


def test_no_page_of_an_older_version_of_a_document_is_left(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path
) -> None:
    out, scan = tmp_path / "out.jsonl", tmp_path / "scan.tif"
    frames = [Image.new("RGB", (60, 40), (0, 0, i)) for i in range(3)]
    frames[0].save(scan, save_all=True, append_images=frames[1:])
    job = [*command, str(scan), str(page), "--no-skip-blank", "--format", "jsonl", "-o", str(out)]
    assert main(job) == 0
    frames[0].save(scan, save_all=True, append_images=frames[1:2])
    assert main([*job, "--resume"]) == 0
    found = [(record["source"], record["number"]) for record in records(out)]
    assert found == [(str(scan), 1), (str(scan), 2), (str(page), 1)]
    assert len(core.prompts) == 6


def test_records_without_a_version_are_continued_by_name(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    job = [*command, str(page), "--format", "jsonl", "-o", str(out)]
    assert main(job) == 0
    (record,) = records(out)
    assert record.pop("version")
    out.write_text(json.dumps(record) + "\n")
    assert main([*job, "--resume"]) == 0
    assert len(core.prompts) == 1
