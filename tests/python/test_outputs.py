"""Where results go: never onto what is read, and never through a door that is a wall."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import get_args

import pytest
from crispvl.cli import SOME_FAILED, UNUSABLE, main
from crispvl.cli.output import names_in_folder
from crispvl.results.formats import FORMATS

from . import pdf_files
from .conftest import FakeModel
from .test_batch import inked

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def command(core: FakeModel, tmp_path: Path) -> list[str]:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    return ["recognize", "-m", str(model)]


def refused(capfd: Capture, arguments: list[str], words: str) -> None:
    capfd.readouterr()
    assert main(arguments) == UNUSABLE
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("crispvl: [")
    assert words in line


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "html", "pdf"])
def test_a_page_is_not_overwritten_by_its_text(
    form: str, command: list[str], page: Path, tmp_path: Path, capfd: Capture
) -> None:
    before = page.read_bytes()
    (tmp_path / "link.png").symlink_to(page)
    (tmp_path / "hard.png").hardlink_to(page)
    for out in (page, tmp_path / "link.png", tmp_path / "hard.png"):
        refused(capfd, [*command, str(page), "--format", form, "-o", str(out)], "an input")
    assert page.read_bytes() == before


def test_neither_model_nor_page_of_a_folder_is_overwritten(
    command: list[str], page: Path, tmp_path: Path, capfd: Capture
) -> None:
    refused(capfd, [*command, str(page), "-o", command[-1]], "an input")
    scans = tmp_path / "scans"
    scans.mkdir()
    book = pdf_files.pdf([inked()])
    (scans / "one.pdf").write_bytes(book)
    job = [*command, str(scans), "--format", "pdf", "-o", str(scans)]
    refused(capfd, job, "one.pdf")
    refused(capfd, [*job, "--resume"], "one.pdf")
    assert (scans / "one.pdf").read_bytes() == book
    refused(capfd, ["view", str(page), *command[1:], "-o", str(page)], "an input")
    assert main([*command, str(page), "-o", str(scans)]) == 0  # other names are welcome there


def test_an_importance_matrix_takes_the_place_of_no_model_and_no_page(
    command: list[str], page: Path, tmp_path: Path, capfd: Capture
) -> None:
    model, before = command[-1], page.read_bytes()
    refused(capfd, ["imatrix", model, model, str(page)], "an input")
    other = tmp_path / "other.png"
    other.write_bytes(before)
    refused(capfd, ["imatrix", model, str(page), str(other)], "OUT")  # which was forgotten
    assert (page.read_bytes(), Path(model).read_bytes()) == (before, b"GGUF")


def test_where_nothing_can_be_written_the_model_is_not_loaded(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path, capfd: Capture
) -> None:
    nowhere, pages = tmp_path / "nowhere", tmp_path / "pages"
    pages.mkdir()
    for form in ("text", "jsonl", "pdf"):
        job = [*command, str(page), "--format", form, "-o", str(nowhere / "out")]
        refused(capfd, job, f"'{nowhere}'")
    view = ["view", str(page), *command[1:], "-o"]
    refused(capfd, [*view, str(nowhere / "out.html")], f"'{nowhere}'")
    refused(capfd, [*view, "."], "a folder")
    plot = ["eval", str(pages), *command[1:], "--plot", str(nowhere / "out.svg")]
    refused(capfd, plot, f"'{nowhere}'")
    assert core.loaded_with == ()


@pytest.mark.parametrize(
    "arguments",
    [["recognize", "a.png", "-o", ""], ["view", "a.png", "-o", ""], ["eval", "a", "-o", ""],
     ["eval", "a", "--plot", ""], ["convert", "-m", "a", "-o", ""],
     ["quantize", "a.gguf", "", "q8_0"], ["imatrix", "a.gguf", "", "a.png"],
     ["verify", "a.gguf", "--against", "a", "--save-golden", ""]],
    ids=" ".join,
)  # fmt: skip
def test_an_output_without_a_name_is_wrong_usage(arguments: list[str], capfd: Capture) -> None:
    assert main(arguments) == UNUSABLE
    assert "[output] expected a name; found none; give one" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "begins"),
    [("a.json", "{"), ("a.TSV", "level"), ("a.txt", "Hello"), ("a.pdfs", "Hello")],
)
def test_the_suffix_of_the_output_names_the_format(
    name: str, begins: str, command: list[str], page: Path, tmp_path: Path
) -> None:
    out = tmp_path / name
    assert main([*command, str(page), "-o", str(out)]) == 0
    assert out.read_text().startswith(begins)
    assert main([*command, str(page), "-o", str(out), "--format", "text"]) == 0
    assert out.read_text() == "Hello\n"


@pytest.fixture
def two(page: Path, tmp_path: Path) -> list[Path]:
    """Two pages of one name in two folders."""
    paths = [tmp_path / "a" / "1.png", tmp_path / "b" / "1.png"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(page.read_bytes())
    return paths


def shown(folder: Path) -> list[Path]:
    """The files of a folder without its manifest."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def test_a_file_that_is_added_leaves_the_others_their_names(
    command: list[str], core: FakeModel, two: list[Path], tmp_path: Path
) -> None:
    first, second = two
    out = tmp_path / "out"
    out.mkdir()
    job = ["-o", str(out), "--resume"]
    core.answer = list(b"second")
    assert main([*command, str(second), *job]) == 0
    assert (out / "1.txt").read_text() == "second\n"
    core.answer = list(b"both")
    assert main([*command, str(first), str(second), *job]) == 0
    assert [path.read_text() for path in names_in_folder(out, list(map(str, two)), ".txt")] == [
        "both\n"
    ] * 2
    n_before = len(core.prompts)
    assert main([*command, str(second), str(first), *job]) == 0  # in any order
    assert len(core.prompts) == n_before


def test_a_files_name_in_a_folder_comes_from_its_path_alone() -> None:
    folder = Path("out")
    assert names_in_folder(folder, ["a/1.png", "b/2.pdf"], ".md") == [
        folder / "1.md", folder / "2.md"
    ]  # fmt: skip
    names = names_in_folder(folder, ["a/1.png", "b/1.png", "c/2.png"], ".md")
    assert len(set(names)) == 3
    assert names[2] == folder / "2.md"
    assert names_in_folder(folder, ["z/1.png", "b/1.png", "a/1.png"], ".md")[:0:-1] == names[:2]
    upper, lower = names_in_folder(folder, ["A.png", "a.png"], ".md")
    assert upper.name.lower() != lower.name.lower()


def test_what_has_no_name_of_its_own_is_given_one(tmp_path: Path) -> None:
    uri = "data:image/png;base64,iVBORw0KGgo/AAAA" + "/abcd" * 100
    names = names_in_folder(tmp_path, ["-", uri, f"{uri}a", "a.png"], ".txt")
    assert names[0].name == "stdin.txt"
    assert all(re.fullmatch(r"image-[0-9a-f]{8}[.]txt", name.name) for name in names[1:3])
    assert names[1] != names[2]


def test_a_file_that_is_named_twice_is_written_once_into_a_folder(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert main([*command, str(page), str(page), "-o", str(out)]) == 0
    assert [path.name for path in shown(out)] == ["page.txt"]
    assert len(core.prompts) == 1


def test_a_file_that_is_spelled_in_several_ways_is_read_once(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(page.parent)
    spellings = [page.name, f"./{page.name}", str(page)]
    out = [f"--output={tmp_path / 'out.jsonl'}", "--format=jsonl"]
    assert main([*command, *spellings, *out]) == 0
    assert main([*command, str(page), *out, "--resume"]) == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 1
    (tmp_path / "out").mkdir()
    assert main([*command, *spellings, "-o", str(tmp_path / "out")]) == 0
    assert main([*command, str(page), "-o", str(tmp_path / "out"), "--resume"]) == 0
    assert [path.name for path in shown(tmp_path / "out")] == ["page.txt"]
    assert len(core.prompts) == 2


def test_what_cannot_be_gone_on_with_is_refused(
    command: list[str], page: Path, tmp_path: Path, capfd: Capture
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    job = [*command, str(page), "-o", str(out), "--resume", "--retry-failed"]
    refused(capfd, job, "--format jsonl")
    assert main([*job, "--format", "jsonl"]) == 0
    records = [*command, "-", "--format", "jsonl", "-o", str(tmp_path / "in.jsonl"), "--resume"]
    refused(capfd, records, "standard input")


def test_a_name_that_ends_in_a_separator_is_a_folder(
    command: list[str], two: list[Path], tmp_path: Path, capfd: Capture
) -> None:
    files = [str(path) for path in two]
    out = tmp_path / "new" / "out"
    assert main([*command, *files, "-o", f"{out}/", "--format", "markdown"]) == 0
    assert sorted(shown(out)) == sorted(names_in_folder(out, files, ".md"))
    refused(capfd, [*command, *files, "-o", f"{files[0]}/"], "a folder")


def test_several_documents_make_no_single_html_file(
    command: list[str], two: list[Path], tmp_path: Path, capfd: Capture
) -> None:
    job = [*command, *map(str, two), "--format", "html"]
    refused(capfd, job, "-o FOLDER")
    refused(capfd, [*job, "-o", str(tmp_path / "out.html")], "-o FOLDER")
    assert main([*job, "-o", f"{tmp_path / 'out'}/"]) == 0
    for path in shown(tmp_path / "out"):
        assert path.read_text().count("<!doctype") == 1


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "pdf"])
def test_a_link_stays_a_link(form: str, command: list[str], page: Path, tmp_path: Path) -> None:
    if form == "pdf":
        pytest.importorskip("ocrmypdf", reason="the extra ocrmypdf is not installed")
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    assert main([*command, str(page), "--format", form, "-o", str(link)]) == 0
    assert link.is_symlink()
    assert not target.is_symlink()
    assert target.read_bytes() != b"old"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs in folders")
@pytest.mark.parametrize("form", ["text", "json", "jsonl", "pdf"])
def test_a_fifo_is_written_through(
    form: str, command: list[str], page: Path, tmp_path: Path
) -> None:
    if form == "pdf":
        pytest.importorskip("ocrmypdf", reason="the extra ocrmypdf is not installed")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(fifo.read_bytes()), daemon=True)
    reader.start()
    assert main([*command, str(page), "--format", form, "-o", str(fifo)]) == 0
    assert fifo.is_fifo()
    reader.join(10)
    assert len(found[0]) > 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs in folders")
def test_view_reads_a_fifo_once(
    core: FakeModel, command: list[str], page: Path, tmp_path: Path
) -> None:
    fifo, out = tmp_path / "fifo", tmp_path / "out.html"
    os.mkfifo(fifo)
    threading.Thread(target=lambda: fifo.write_bytes(page.read_bytes()), daemon=True).start()
    assert main(["view", *command[1:], str(fifo), "-o", str(out)]) == 0
    assert out.is_file()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs in folders")
def test_a_fifo_is_refused_where_only_a_file_will_do(
    command: list[str], page: Path, tmp_path: Path, capfd: Capture
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    refused(capfd, [*command, str(page), "--format", "jsonl", "-o", str(fifo), "--resume"], "fifo")
    refused(capfd, ["imatrix", command[-1], str(fifo), str(page)], "fifo")


def test_a_file_that_cannot_be_made_is_named_as_it_was_given(
    command: list[str], page: Path, tmp_path: Path, capfd: Capture
) -> None:
    out = tmp_path / ("x" * 300)
    assert main([*command, str(page), "-o", str(out)]) == UNUSABLE
    assert ".part" not in (line := capfd.readouterr().err)
    assert str(out) in line


def test_a_document_that_makes_no_pdf_does_not_stop_the_others(
    command: list[str], two: list[Path], tmp_path: Path, capfd: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def to_pdf(self: object, output: Path, *_: object) -> None:
        if output == outputs[0]:
            raise ValueError("Unterminated string")
        output.write_bytes(b"%PDF")

    monkeypatch.setattr("crispvl.results.document.Document.to_pdf", to_pdf)
    files = list(map(str, two))
    outputs = names_in_folder(tmp_path / "out", files, ".pdf")
    job = [*command, *files, "--format", "pdf", "-o", f"{tmp_path / 'out'}/"]
    assert main(job) == SOME_FAILED
    assert "Unterminated string" in capfd.readouterr().err
    assert outputs[1].is_file()


def test_a_web_address_makes_no_pdf_and_is_not_read_for_it(
    command: list[str], core: FakeModel, tmp_path: Path, capfd: Capture
) -> None:
    job = [*command, "https://example.org/a.png", "--allow-urls", "--format", "pdf"]
    refused(capfd, [*job, "-o", str(tmp_path / "out.pdf")], "web address")
    assert core.loaded_with == ()


def test_the_server_and_the_command_line_write_the_same_formats() -> None:
    pytest.importorskip("pydantic")
    from crispvl.server.wire.ocr import OutputFormat

    assert list(get_args(OutputFormat)) == list(FORMATS)
    assert len({form.suffix for form in FORMATS.values()}) == len(FORMATS)
