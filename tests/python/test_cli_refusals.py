"""Wrong input on the command line: one line that names it, the exit code, no traceback."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from crispvl.cli import SOME_FAILED, UNUSABLE, main
from crispvl.hub import bundled
from PIL import Image

from .pdf_files import pdf

Capture = pytest.CaptureFixture[str]

pytestmark = pytest.mark.skipif(not bundled.path().is_file(), reason="no bundled model here")


def refusal(capfd: Capture, code: int, *arguments: object) -> str:
    """Runs ``crispvl``; returns the one line that it wrote to standard error."""
    assert main([str(argument) for argument in arguments]) == code
    captured = capfd.readouterr()
    assert captured.out.strip() == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("crispvl: [")
    return line


def blank(path: Path, *size: int) -> Path:
    Image.new("1", size).save(path)
    return path


def promised(path: Path, *size: int) -> Path:
    """A PNG whose header promises more pixels than follow."""
    header = b"IHDR" + struct.pack(">2I5B", *size, 8, 0, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(header))
    return written(path, b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + check)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


INPUTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no image": (
        lambda at: written(at / "no.png", b"no image at all"),
        "no.png] expected an image",
    ),
    "cut image": (
        lambda at: written(at / "cut.png", blank(at / "whole.png", 99, 99).read_bytes()[:50]),
        "cut.png]",
    ),
    "empty file": (lambda at: written(at / "empty.png", b""), "empty.png]"),
    "1 px": (lambda at: blank(at / "dot.png", 1, 1), "dot.png]"),
    "30000 px": (lambda at: blank(at / "line.png", 30_000, 10), "line.png]"),
    "too many pixels": (lambda at: promised(at / "vast.png", 30_000, 30_000), "vast.png]"),
    "encrypted PDF": (lambda at: written(at / "a.pdf", pdf([None], "secret")), "--password"),
    "cut PDF": (lambda at: written(at / "cut.pdf", b"%PDF-1.4\n1 0 obj"), "cut.pdf]"),
    "missing file": (lambda at: at / "missing.png", "missing.png"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_that_cannot_be_read_is_one_line(
    name: str, tmp_path: Path, capfd: Capture
) -> None:
    make, words = INPUTS[name]
    assert words in refusal(capfd, SOME_FAILED, "recognize", make(tmp_path))


MODELS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no model": (lambda at: written(at / "no.gguf", b"no model at all"), "no.gguf"),
    "empty model": (lambda at: written(at / "empty.gguf", b""), "empty.gguf"),
    "cut header": (lambda at: written(at / "cut.gguf", nano_bytes()[:5000]), "cut.gguf"),
    "folder": (lambda at: at, "found a folder"),
    "missing model": (lambda at: at / "missing.gguf", "missing.gguf"),
}


def nano_bytes() -> bytes:
    return bundled.path().read_bytes()


@pytest.mark.parametrize("command", ["recognize", "inspect", "plan", "quantize"])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_cannot_be_used_is_one_line(
    name: str, command: str, tmp_path: Path, capfd: Capture
) -> None:
    make, words = MODELS[name]
    model = make(tmp_path)
    page = blank(tmp_path / "page.png", 40, 40)
    arguments = {
        "recognize": ["-m", model, page],
        "quantize": [model, tmp_path / "out.gguf", "q8_0"],
    }.get(command, [model])
    assert words in refusal(capfd, UNUSABLE, command, *arguments)
    assert not (tmp_path / "out.gguf").exists()


def test_weights_that_are_cut_off_are_one_line(tmp_path: Path, capfd: Capture) -> None:
    model = written(tmp_path / "cut.gguf", nano_bytes()[:-5000])
    page = blank(tmp_path / "page.png", 40, 40)
    assert "cut.gguf" in refusal(capfd, UNUSABLE, "recognize", "-m", model, page)


def test_a_projector_that_is_none_is_one_line(tmp_path: Path, capfd: Capture) -> None:
    page = blank(tmp_path / "page.png", 40, 40)
    nano = bundled.path()
    assert "mmproj" in refusal(capfd, UNUSABLE, "recognize", "-m", nano, "--mmproj", nano, page)


def test_a_folder_without_documents_is_one_line(tmp_path: Path, capfd: Capture) -> None:
    assert str(tmp_path) in refusal(capfd, UNUSABLE, "recognize", tmp_path)


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "html"])
def test_an_output_that_cannot_be_written_is_one_line(
    form: str, tmp_path: Path, capfd: Capture
) -> None:
    page = blank(tmp_path / "page.png", 40, 40)
    out = page / "out"  # below a file
    assert "page.png" in refusal(capfd, UNUSABLE, "recognize", page, "--format", form, "-o", out)


@pytest.mark.parametrize(
    "flags",
    [["--pages", "x"], ["--max-tiles", "0"], ["--max-tiles", "1025"], ["--max-tokens", "-1"],
     ["--min-tiles", "50"], ["--min-tiles", "5", "--max-tiles", "2"], ["--min-p", "1"],
     ["--top-p", "2"], ["--temperature", "nan"], ["--device", "abacus"], ["--threads", "-3"],
     ["--format", "pdf"], ["--resume"], ["--max-memory", "cpu=1"]],
    ids=" ".join,
)  # fmt: skip
def test_a_value_out_of_range_is_one_line(flags: list[str], tmp_path: Path, capfd: Capture) -> None:
    page = blank(tmp_path / "page.png", 40, 40)
    line = refusal(capfd, UNUSABLE, "recognize", page, *flags)
    assert flags[0].lstrip("-") in line.replace("_", "-")


@pytest.mark.parametrize(
    "flags", [["--no-such-option"], ["--max-memory", "cpu"], ["--max-tokens", "many"]], ids=" ".join
)
def test_what_is_no_option_is_named_in_one_line(
    flags: list[str], tmp_path: Path, capfd: Capture
) -> None:
    assert flags[0] in refusal(capfd, UNUSABLE, "recognize", tmp_path, *flags)


def test_a_count_beyond_all_bounds_is_one_line(capfd: Capture) -> None:
    for flag in ("--pages", "--tiles", "--ctx", "--streams"):
        line = refusal(capfd, UNUSABLE, "plan", bundled.path(), flag, "9" * 23)
        assert f"expected {flag.lstrip('-')} of at least 1 and at most 2147483647" in line


def test_an_option_that_is_none_is_refused_with_the_one_that_may_be_meant(capfd: Capture) -> None:
    line = refusal(capfd, UNUSABLE, "recognize", "page.png", "--fromat", "json")
    assert "unrecognized arguments: --fromat json; did you mean --format?" in line
    line = refusal(capfd, UNUSABLE, "recognize", "--hlep")  # though a file is missing, too
    assert "unrecognized arguments: --hlep; did you mean --help?" in line
    assert "did you mean" not in refusal(capfd, UNUSABLE, "recognize", "page.png", "--lang", "eng")
    assert "unrecognized arguments: -x" in refusal(capfd, UNUSABLE, "recognize", "-x")
    line = refusal(capfd, UNUSABLE, "recognize", "page.png", "--prompt", "--a b", "--dpi", "x")
    assert "argument --dpi: invalid" in line
    line = refusal(capfd, UNUSABLE, "recognize", "page.png", "--password", "--secret")
    assert "argument --password: expected one argument" in line
    assert "--prompt" in refusal(capfd, UNUSABLE, "recognize", "page.png", "--prompt")


@pytest.mark.parametrize(
    "arguments",
    [["recognize", ""], ["convert", "-m", "", "-o", "o.gguf"], ["eval", "none"]],
    ids=" ".join,
)
def test_an_empty_name_is_no_folder(arguments: list[str], capfd: Capture) -> None:
    assert "; found " in refusal(
        capfd, SOME_FAILED if arguments[0] == "recognize" else UNUSABLE, *arguments
    )


@pytest.mark.parametrize("value", ["1/0", "1e999", "half"])
@pytest.mark.parametrize("command", ["recognize", "convert"])
def test_a_fraction_that_is_none_is_wrong_usage(
    command: str, value: str, tmp_path: Path, capfd: Capture
) -> None:
    files = [tmp_path] if command == "recognize" else ["-m", tmp_path, "-o", "o.gguf"]
    arguments = [command, *map(str, files), "--image-position-step", value]
    assert main(arguments) == UNUSABLE
    line = capfd.readouterr().err.splitlines()[-1]
    assert f"step: [options] expected a number such as 1/4; found {value!r}; write it so" in line
