"""A day's work on the command line: documents, formats, limits, stopping and going on."""

from __future__ import annotations

import gc
import io
import json
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from crispvl import CrispOCR
from crispvl.cli import complain, main
from crispvl.cli.progress import ProgressLine, StepProgress
from crispvl.cli.records import RecordFile
from crispvl.errors import DocumentError
from crispvl.events import PageDone, PageStarted, TextRead, TilesEncoded
from crispvl.progress import ProgressMeter
from crispvl.results.document import Document
from crispvl.results.generation import Generation, Timings
from crispvl.results.html import to_html
from crispvl.results.markdown import to_markdown
from crispvl.results.page import Page
from PIL import Image

from . import pdf_files
from .conftest import FakeModel

Capture = pytest.CaptureFixture[str]
BLANK = Image.new("L", (60, 28), 255)


def inked() -> Image.Image:
    image = BLANK.copy()
    image.paste(0, (10, 8, 16, 20))
    return image


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Twenty pages: the third is blank, the fifth is broken."""
    path = tmp_path / "book.pdf"
    pages: list[Image.Image | None] = [inked() for _ in range(20)]
    pages[2], pages[4] = BLANK, None
    path.write_bytes(pdf_files.pdf(pages))
    return path


@pytest.fixture
def command(core: FakeModel, page: Path) -> list[str]:
    return ["recognize", "-m", str(page), "--dpi", "72"]


def records(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def interrupt_at(core: FakeModel, n_prompts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Presses Ctrl-C in the middle of the answer to a prompt."""
    answer = core.next_token

    def next_token(written: list[int], sampler: Any) -> int:
        if len(core.prompts) == n_prompts and len(written) == 2:
            raise KeyboardInterrupt
        return answer(written, sampler)

    monkeypatch.setattr(core, "next_token", next_token)


def test_a_book_gives_a_record_per_page_in_order(
    command: list[str], book: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out.jsonl"
    assert main([*command, str(book), "--format", "jsonl", "-o", str(out)]) == 1
    assert "page 5 could not be read" in capsys.readouterr().err
    found = records(out)
    assert [record["number"] for record in found] == list(range(1, 21))
    assert {record["source"] for record in found} == {str(book)}
    texts = ["Hello"] * 20
    texts[2] = texts[4] = ""
    assert [record["text"] for record in found] == texts
    assert found[2]["flags"] == ["blank"]
    assert found[4]["error"]["type"] == "DocumentError"
    assert found[0]["model"]["sha256"]
    assert found[0]["settings"]["max_tokens"] == 2048


def test_an_interrupted_run_goes_on_with_nothing_lost_or_done_twice(
    command: list[str], core: FakeModel, book: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out = tmp_path / "out.jsonl"
    job = [*command, str(book), "--format", "jsonl", "-o", str(out), "--resume", "--streams", "1"]
    with monkeypatch.context() as patch:
        interrupt_at(core, 8, patch)
        assert main(job) == 130
    assert [record["number"] for record in records(out)] == list(range(1, 10))
    with out.open("a") as file:  # as a process that is killed leaves it
        file.write('{"source": "half a rec')
    n_before = len(core.prompts)
    assert main(job) == 1  # the broken page is still broken
    assert [record["number"] for record in records(out)] == list(range(1, 21))
    assert len(core.prompts) - n_before == 11
    assert main(job) == 1
    assert len(core.prompts) - n_before == 11
    assert len(records(out)) == 20


@pytest.mark.parametrize("into_folder", [True, False])
def test_documents_that_were_done_already_are_counted_not_listed(
    command: list[str], page: Path, tmp_path: Path, into_folder: bool, capsys: Capture
) -> None:
    files = [str(tmp_path / f"{name}.png") for name in "abc"]
    for file in files:
        Path(file).write_bytes(page.read_bytes())
    output = tmp_path / "out"
    if into_folder:
        output.mkdir()
    job = ["--format", "jsonl", "-o", str(output), "--resume"]
    assert main([*command, *files[:2], *job]) == 0
    first = capsys.readouterr().err
    assert all(file in first for file in files[:2])
    assert "already" not in first
    assert main([*command, *files, *job]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told == [f"crispvl: {files[2]}", "crispvl: 2 of 3 documents were done already"]


def test_failed_pages_are_read_again_only_when_asked_for(
    command: list[str], core: FakeModel, book: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out.jsonl"
    job = [*command, str(book), "--format", "jsonl", "-o", str(out)]
    assert main(job) == 1
    book.write_bytes(pdf_files.pdf([inked()] * 20))
    unversioned = [{**record, "version": ""} for record in records(out)]  # no change is noticed
    out.write_text("".join(json.dumps(record) + "\n" for record in unversioned))
    assert main([*job, "--resume"]) == 1
    assert "failed before; --retry-failed reads them again" in capsys.readouterr().err
    assert main([*job, "--resume", "--retry-failed"]) == 0
    assert sorted(record["number"] for record in records(out)) == list(range(1, 21))
    assert main([*job, "--retry-failed"]) == 2


def test_documents_that_cannot_be_opened_are_recorded_once(
    command: list[str], page: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    out = tmp_path / "out.jsonl"
    files = [str(tmp_path / "broken.pdf"), str(page)]
    job = [*command, *files, "--format", "jsonl", "-o", str(out), "--resume"]
    for _ in range(2):
        assert main(job) == 1
        assert [(record["source"], record["number"]) for record in records(out)] == [
            (files[0], None), (files[1], 1)
        ]  # fmt: skip


def test_records_of_other_settings_are_not_continued(
    command: list[str], page: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out.jsonl"
    job = [*command, str(page), "--format", "jsonl", "-o", str(out), "--resume"]
    assert main(job) == 0
    assert main([*job, "--max-tokens", "7"]) == 2
    assert "max_tokens 2048 instead of 7" in capsys.readouterr().err
    out.write_text("a shopping list\n")
    assert main(job) == 2
    assert "found something else in line 1" in capsys.readouterr().err
    assert main([*command, str(page), "--resume"]) == 2


def test_a_folder_goes_in_and_a_folder_comes_out(
    command: list[str], core: FakeModel, page: Path, tmp_path: Path
) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    out.mkdir()
    for name in ("a.png", "b.png"):
        (scans / name).write_bytes(page.read_bytes())
    (scans / "c.png").write_bytes(b"broken")
    job = [*command, str(scans), "-o", str(out), "--resume"]
    assert main(job) == 1
    assert {file.name: file.read_text() for file in out.iterdir() if file.suffix == ".txt"} == {
        "a.txt": "Hello\n", "b.txt": "Hello\n"
    }  # fmt: skip
    (out / "a.txt").write_text("corrected by hand")
    (out / "b.txt").unlink()
    n_before = len(core.prompts)
    assert main(job) == 1
    assert len(core.prompts) - n_before == 1
    assert (out / "a.txt").read_text() == "corrected by hand"


def test_pages_of_a_document_are_chosen_and_parted(
    command: list[str], book: Path, capsys: Capture
) -> None:
    assert main([*command, str(book), "--pages", "1-3"]) == 0
    assert capsys.readouterr().out == "Hello\n\nHello\n\n"  # the third is blank
    assert main([*command, str(book), "--pages", "99"]) == 1
    assert main([*command, str(book), "--pages", "x"]) == 2


def test_a_password_is_asked_for_and_taken(
    command: list[str], tmp_path: Path, capsys: Capture
) -> None:
    secret = tmp_path / "secret.pdf"
    secret.write_bytes(pdf_files.pdf([BLANK], password="sesame"))
    assert main([*command, str(secret)]) == 1
    assert "--password" in capsys.readouterr().err
    assert main([*command, str(secret), "--password", "sesame"]) == 0


def test_progress_is_told_page_by_page_where_there_is_no_terminal(
    command: list[str], book: Path, capsys: Capture, core: FakeModel
) -> None:
    assert main([*command, str(book), "--pages", "1-2", "--progress"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "page 1" in lines[0]
    assert "5 tokens" in lines[0]
    assert main([*command, str(book), "--pages", "1-2", "--no-progress"]) == 0
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_line_that_the_meter_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with ProgressLine(2, shown=True) as line:
        line.begin("a.pdf")
        while "[1/2] a.pdf: page 4, 0 of 3 done" not in terminal.getvalue():  # it is drawn soon
            line(PageStarted(number=4, name="a.pdf, page 4", i_page=0, n_pages=3))
        complain("above it")
    assert "\rcrispvl: above it\n" in terminal.getvalue()


def test_a_bar_of_bytes_says_how_many_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with StepProgress("B") as progress:
        while "2.00M/4.00M" not in terminal.getvalue():
            progress("output.weight", 1_000_000, 4_000_000)
            progress("output.weight", 2_000_000, 4_000_000)
    assert " 50%" in terminal.getvalue()
    assert "output.weight" in terminal.getvalue()


def test_the_meter_counts_pages_tiles_tokens_and_seconds() -> None:
    now = [0.0]
    meter = ProgressMeter(lambda: now[0])
    for i_page in range(2):
        assert meter.seconds_left == (None if i_page == 0 else 30.0)
        meter(PageStarted(number=i_page + 7, name="", i_page=i_page, n_pages=4))
        meter(TilesEncoded(number=i_page + 7, n_done=2, n_tiles=3))
        meter(TextRead(number=i_page + 7, text="x", n_tokens=5))
        now[0] += 10
        if i_page == 0:
            assert str(meter) == "page 7, 0 of 4 done, tile 2 of 3, 5 tokens"
        meter(PageDone(page=Page(number=i_page + 7)))
    assert (meter.n_pages_done, meter.seconds_left) == (2, 20.0)


def document(text: str, probability: float = 1.0) -> Document:
    import math

    generation = Generation(
        ids=[1], logprobs=[math.log(probability)], finish_reason="stop", text=text,
        timings=Timings(), n_prompt_tokens=1, pieces=[text],
    )  # fmt: skip
    error = DocumentError("[a --> b] expected X; found Y; do Z")
    return Document(
        source="<a & b>.pdf", n_pages=3,
        pages=(
            Page(number=1, generation=generation), Page(number=2, blank=True),
            Page(number=3, error=error),
        ),
    )  # fmt: skip


def test_markdown_says_what_a_reader_should_know() -> None:
    text = to_markdown(document("# Title", 0.4))
    assert "<!-- page 1 was read with little confidence (40%) -->\n# Title" in text
    assert "<!-- page 2 is blank -->" in text
    comment = text[text.index("<!-- page 3") :]
    assert comment.count("-->") == 1
    assert comment.endswith("-->\n")


def test_html_shows_what_the_model_wrote_as_text() -> None:
    seen: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            seen.append(tag)

    text = document("<script>alert(1)</script> & more", 0.3).to_html()
    Parser().feed(text)
    assert "script" not in seen
    assert seen.count("section") == 3
    assert seen.count("mark") == 3
    assert "--p:30" in text
    assert "&lt;a &amp; b&gt;.pdf" in text
    assert to_html(document("sure")).count("<mark") == 0


def test_json_lines_hold_a_page_each() -> None:
    lines = [json.loads(line) for line in document("é").to_jsonl().splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3]
    assert lines[0]["text"] == "é"
    assert json.loads(document("é").to_json())["pages"][2]["error"]["type"] == "DocumentError"
    assert "é" in document("é").to_json()


def test_html_and_json_lines_come_from_the_command_too(
    command: list[str], book: Path, capsys: Capture
) -> None:
    assert main([*command, str(book), "--pages", "1-2", "--format", "html"]) == 0
    assert capsys.readouterr().out.count("<section") == 2
    assert main([*command, str(book), "--pages", "1-2", "--format", "jsonl"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_memory_does_not_grow_with_the_pages_of_a_document(
    core: FakeModel, page: Path, tmp_path: Path
) -> None:
    core.answer = list(b"A line of some length.\n" * 4)
    core.prompts = core.prefilled = Forgetful()  # type: ignore[assignment]
    book = tmp_path / "long.pdf"
    book.write_bytes(pdf_files.pdf([inked()] * 220))
    sizes = []
    stream = CrispOCR(page).stream(book, dpi=72, keep_pages=False, repair_loops=False)
    tracemalloc.start()
    for event in stream.events():
        if isinstance(event, PageDone) and event.page.number in (20, 220):
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert len(sizes) == 2
    assert sizes[1] - sizes[0] < 100_000  # 500 bytes a page; an answer's record takes 20,000
    assert stream.result.pages == ()
    assert stream.result.n_pages == 220


class Forgetful(list):  # type: ignore[type-arg]
    """What the stand-in would remember of every prompt."""

    def append(self, item: object) -> None:
        pass


def test_a_record_is_on_the_disk_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with RecordFile(path) as file:
        file.append({"source": "a", "number": 1, "error": None})
        assert len(records(path)) == 1
    with RecordFile(path, resume=True) as file:
        assert file.holds("a", 1)
        assert not file.holds("a", 2)
    with RecordFile(path) as file:
        assert not file.found
        assert path.read_text() == ""
