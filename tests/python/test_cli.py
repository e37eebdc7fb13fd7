"""The command line: text on standard output, the rest on standard error, and exit codes."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from crispvl.cli import COMMANDS, main
from crispvl.cli.doctor import model_cache
from crispvl.cli.examples import EXAMPLES
from crispvl.errors import ModelFileError
from crispvl.hub import bundled
from crispvl.results.formats import FORMATS

from .conftest import FakeModel

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def command(core: FakeModel, page: Path) -> list[str]:
    return ["recognize", "-m", str(page)]


def test_text_goes_to_standard_output(command: list[str], page: Path, capsys: Capture) -> None:
    assert main([*command, str(page)]) == 0
    captured = capsys.readouterr()
    assert captured.out == "Hello\n"
    assert captured.err == ""


def test_text_is_written_as_it_is_read(
    command: list[str], page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    class Terminal(io.StringIO):
        def flush(self) -> None:
            written.append(self.getvalue())

    monkeypatch.setattr(sys, "stdout", Terminal())
    main([*command, str(page)])
    assert written[:3] == ["H", "He", "Hel"]


def test_json_of_one_file_is_an_object_and_of_several_a_list(
    command: list[str], page: Path, capsys: Capture
) -> None:
    assert main([*command, str(page), "--format", "json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert one["text"] == "Hello"
    assert one["finish_reason"] == "stop"
    assert {"tiles", "tokens", "timings", "confidence", "token_confidence"} <= one.keys()
    assert main([*command, str(page), str(page), "--format", "json"]) == 0
    assert [r["text"] for r in json.loads(capsys.readouterr().out)] == ["Hello", "Hello"]
    assert main([*command, str(page), str(page), "--format", "jsonl"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["Hello", "Hello"]


def test_a_file_that_fails_does_not_stop_the_others(
    command: list[str], page: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "bad.png").write_bytes(b"bad")
    files = [str(tmp_path / "bad.png"), str(page), str(tmp_path / "missing.png")]
    assert main([*command, *files]) == 1
    captured = capsys.readouterr()
    assert captured.out == "Hello\n"
    assert "bad.png] expected an image" in captured.err
    assert "missing.png" in captured.err


def test_options_reach_the_model(
    command: list[str], core: FakeModel, page: Path, capsys: Capture
) -> None:
    flags = ["--max-tokens", "2", "--temperature", "0.5", "--max-tiles", "1", "--device", "cpu"]
    assert main([*command, str(page), *flags, "--prompt", "Total?", "--threads", "2"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "He\n"
    assert "cut off at 2 tokens" in captured.err
    assert core.loaded_with[2:] == ("cpu", 2, False, False, None, 0.0, (), "auto", True)
    assert core.sampler.temperature == 0.5
    assert core.n_encoded == 1
    assert b"Total?" in bytes(token for token in core.prompts[-1] if token < 256)
    assert main([*command, str(page), "--image-position-step", "1/4"]) == 0
    assert core.loaded_with[7] == 0.25
    assert main([*command, str(page), "--no-mmap"]) == 0
    assert core.loaded_with[-1] is False


def test_output_goes_to_a_file_or_a_folder(
    command: list[str], page: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out.txt"
    assert main([*command, str(page), "-o", str(out)]) == 0
    assert out.read_text() == "Hello\n"
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "other.png").write_bytes(page.read_bytes())
    files = [str(page), str(tmp_path / "other.png")]
    assert main([*command, *files, "-o", str(folder), "--format", "markdown"]) == 0
    assert {file.name for file in folder.glob("[!.]*")} == {"page.md", "other.md"}
    assert capsys.readouterr().out == ""


@pytest.fixture
def latin_1(page: Path, tmp_path: Path) -> Path:
    """A folder with two pages, of which the first has a name that is no UTF-8."""
    folder = tmp_path / "scans"
    folder.mkdir()
    name = os.fsdecode(b"caf\xe9.png")
    try:
        (folder / name).write_bytes(page.read_bytes())
    except OSError:
        pytest.skip("names are UTF-8 on this file system")
    (folder / "d.png").write_bytes(page.read_bytes())
    return folder


@pytest.mark.parametrize("form", sorted(FORMATS.keys() - {"pdf"}))
def test_names_that_are_no_utf8_are_read_and_written_out(
    form: str, command: list[str], latin_1: Path, tmp_path: Path, capfd: Capture
) -> None:
    name, out = rf"{latin_1}/caf\udce9.png", tmp_path / "out"
    one = str(latin_1 / os.fsdecode(b"caf\xe9.png"))
    pages = one if form == "html" else str(latin_1)  # HTML holds one document
    read = [pages, "--format", form]
    if form == "csv":  # the stand-in for a model writes no table
        assert main([*command, *read]) == 1
        assert rf"{name}: [--format csv] expected a table" in capfd.readouterr().err
        return
    assert main([*command, *read, "-o", str(out)]) == 0
    assert main([*command, *read]) == 0
    for text in (out.read_text("utf-8"), capfd.readouterr().out):
        if form == "json":
            assert [one["source"] for one in json.loads(text)] == [name, f"{latin_1}/d.png"]
        if form == "jsonl":
            sources = [json.loads(line)["source"] for line in text.splitlines()]
            assert sources == [name, f"{latin_1}/d.png"]
        if form == "html":
            assert text.count(f"<title>{name}</title>") == 1


def test_names_that_are_no_utf8_are_found_again_by_resume(
    command: list[str], core: FakeModel, latin_1: Path, tmp_path: Path, capfd: Capture
) -> None:
    (latin_1 / os.fsdecode(b"\xff.png")).write_bytes(b"no image")
    again = [*command, str(latin_1), "--format", "jsonl", "-o", str(tmp_path / "o"), "--resume"]
    assert [main(again), main(again)] == [1, 1]
    assert len((tmp_path / "o").read_text("utf-8").splitlines()) == 3
    assert len(core.prompts) == 2
    assert rf"{latin_1}/\udcff.png] expected an image" in capfd.readouterr().err


def test_view_shows_a_page_whose_name_is_no_utf8(
    core: FakeModel, page: Path, latin_1: Path, tmp_path: Path, capfd: Capture
) -> None:
    model = tmp_path / os.fsdecode(b"m\xff.gguf")
    model.write_bytes(b"")
    shown = str(latin_1 / os.fsdecode(b"caf\xe9.png"))
    assert main(["view", "-m", str(model), shown, "-o", str(tmp_path / "o.html")]) == 0
    text = (tmp_path / "o.html").read_text("utf-8")
    assert r"<title>caf\udce9.png" in text
    assert r"m\\udcff.gguf" in text  # in JSON


@pytest.mark.parametrize("name", ["recognize", "view", "eval"])
def test_a_prompt_that_is_no_utf8_is_wrong_usage(
    name: str, core: FakeModel, page: Path, capsys: Capture
) -> None:
    assert main([name, str(page), "--prompt", "a\udcff"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert r"--prompt: [text] expected Unicode characters; found '\udcff' at 1" in line


def test_an_interrupted_run_leaves_no_half_file(
    command: list[str], page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("crispvl.reading.document_reader.DocumentReader.pages", interrupt)
    before = set(tmp_path.iterdir())
    assert main([*command, str(page), "-o", str(tmp_path / "out.txt")]) == 130
    assert set(tmp_path.iterdir()) == before


def test_standard_input_is_read(
    command: list[str], page: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(page.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main([*command, "-"]) == 0
    assert capsys.readouterr().out == "Hello\n"


def test_an_unusable_model_is_exit_code_2(
    core: FakeModel, page: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["recognize", "-m", "nowhere.gguf", str(page)]) == 2
    assert "nowhere.gguf" in capsys.readouterr().err

    def refuse() -> Path:
        raise ModelFileError("[model] expected X; found Y; do Z")

    monkeypatch.setattr(bundled, "verified_path", refuse)
    assert main(["recognize", str(page)]) == 2
    assert capsys.readouterr() == ("", "crispvl: [model] expected X; found Y; do Z\n")


@pytest.mark.parametrize(
    "arguments", [["recognize"], ["recognize", "a.png", "--format", "odt"],
                  ["recognize", "a.png", "--max-tokens", "many"]],
)  # fmt: skip
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], capsys: Capture) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.endswith("; for help, run crispvl recognize --help")


def test_what_is_no_command_is_answered_with_what_may_be_meant(
    tmp_path: Path, capsys: Capture
) -> None:
    page = tmp_path / "a page.png"
    page.touch()
    answers = {
        "recognise": "found 'recognise'; did you mean recognize?",
        "ocr": "found 'ocr'; choose one of recognize, batch",
        str(page): f"to read it, run crispvl recognize '{page}'",
    }
    for name, answer in answers.items():
        assert main([name, "--no-such-option"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("crispvl: [crispvl] expected a command; found ")
        assert answer in line
        assert line.endswith("; for help, run crispvl --help")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("txt", "text"), ("md", "markdown"), ("Markdwon", "markdown"), ("htm", "html"),
     ("xml", "alto"), ("xlsx", "csv"), ("ndjson", "jsonl"), (".TXT", "text")],
)  # fmt: skip
def test_a_name_near_a_formats_own_is_answered_with_that(
    name: str, meant: str, capsys: Capture
) -> None:
    assert main(["recognize", "a.png", "--format", f"json,{name}"]) == 2
    assert f"found {name!r}; did you mean {meant}?" in capsys.readouterr().err


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_explains_itself(name: str, capsys: Capture) -> None:
    assert main([name, "--help"]) == 0
    assert f"usage: crispvl {name}" in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert name in capsys.readouterr().out


def test_every_example_of_the_help_is_a_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert EXAMPLES.keys() == COMMANDS.keys()
    for name, lines in EXAMPLES.items():
        monkeypatch.setattr(f"{COMMANDS[name][0]}.run", lambda args: 0)
        for line in lines:
            program, *arguments = shlex.split(line)
            assert (program, arguments[0]) == ("crispvl", name)
            assert main(arguments) == 0, line


def test_inspect_reports_a_file(core: FakeModel, page: Path, capsys: Capture) -> None:
    assert main(["inspect", str(page), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["architecture"] == "qwen2"
    assert report["tensor_types"] == {"F32": {"tensors": 1, "parameters": 6, "bytes": 24}}
    assert report["metadata"]["tokenizer.ggml.tokens"]["length"] == 266
    assert core.loaded_with[4] is True  # no weights are read
    assert main(["inspect", str(page)]) == 0
    text = capsys.readouterr().out
    assert "architecture  qwen2" in text
    assert "template                internvl2_5" in text


@pytest.mark.parametrize(
    ("template", "message", "told"),
    [("internvl2_5", "", "none"), ("internvl2_5", None, "built in: "),
     ("", None, "the Jinja template's own"), ("internvl2_5", "Read.", "Read.")],
)  # fmt: skip
def test_inspect_says_whether_there_is_a_system_message(
    template: str, message: str | None, told: str,
    core: FakeModel, page: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    chat = {**core.config["chat"], "template": template, "system_message": message}
    monkeypatch.setattr(core, "config", {**core.config, "chat": chat})
    assert main(["inspect", str(page)]) == 0
    text = capsys.readouterr().out
    assert f"\n  system_message          {told}" in text
    assert f"\n  template                {template or 'none'}\n" in text


def test_inspect_tells_how_a_model_reads_pages(
    core: FakeModel, page: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["inspect", str(page)]) == 0
    assert "reading\n  layout                  page\n" in capsys.readouterr().out
    own = {"crispvl.reading.layout": "lines", "crispvl.strips.rows": 8, "crispvl.strips.gap_px": 4}
    monkeypatch.setattr(core, "metadata", {**core.metadata, **own})
    assert main(["inspect", str(page), "--json"]) == 0
    reading = json.loads(capsys.readouterr().out)["reading"]
    assert reading == {"layout": "lines", "strips.n_rows": 8, "strips.gap_px": 4}


def test_doctor_reports_the_installation(
    core: FakeModel, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", "/models")
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "ggml           1 (c)" in text
    assert "own kernels    avx2" in text
    assert "1.0 of 2.0 GiB free" in text
    assert str(Path("/models/hub")) in text
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["core"]["backends"] == ["CPU"]


def test_the_model_cache_follows_the_hubs_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", "/cache")
    assert model_cache() == Path("/cache")
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert model_cache() == Path("/xdg/huggingface/hub")


FLOOD = """
import sys, types
from crispvl import cli

flood = types.ModuleType("flood")
flood.add_arguments = lambda parser: None
flood.run = lambda args: [print("x" * 1000) for _ in range(10**6)] and 0
sys.modules["flood"] = flood
cli.COMMANDS["flood"] = ("flood", "write without end")
sys.exit(cli.main(["flood"]))
"""


def test_a_reader_of_the_output_may_go_away() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FLOOD], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_a_standard_stream_that_is_closed_is_not_missed(
    closed: str, command: list[str], page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, closed, None)
    assert main([*command, str(page), "-o", str(tmp_path / "out.txt")]) == 0
    assert (tmp_path / "out.txt").read_text() == "Hello\n"
    assert main([*command, str(page)]) == 0
    assert main([*command, "nowhere.png"]) == 1


def test_an_empty_page_comes_from_a_standard_input_that_is_closed(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main([*command, "-"]) == 1
    assert "crispvl: [-] expected an image; found 0 bytes" in capsys.readouterr().err


def test_output_is_utf8_whatever_the_locale(
    core: FakeModel, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core.config["chat"]["system_message"] = "你是书生"
    out, err = io.BytesIO(), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, "cp1252"))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(err, "cp1252"))
    assert main(["inspect", str(page), "--json"]) == 0
    assert main(["recognize", "-m", str(page), "书.png"]) == 1
    assert json.loads(out.getvalue())["config"]["chat"]["system_message"] == "你是书生"
    assert "书.png" in err.getvalue().decode("utf-8")


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "crispvl", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("crispvl ")


def test_the_name_alone_shows_how_to_begin(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert main([]) == 0
    told = capsys.readouterr().out
    commands = re.findall(r"^  (crispvl .*?)  +\S", told, re.MULTILINE)
    assert [line.split()[1] for line in commands] == ["recognize", "recognize", "serve"]
    for line in commands:
        _, name, *arguments = shlex.split(line)
        monkeypatch.setattr(f"{COMMANDS[name][0]}.run", lambda args: 0)
        assert main([name, *arguments]) == 0
