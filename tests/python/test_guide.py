"""The user guide's examples run as they are, with the bundled model."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from crispvl.cli import main
from crispvl.hub import bundled
from PIL import Image

from . import pdf_files

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
GUIDE = ROOT / "docs" / "guide.md"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT_CODES = {"crispvl recognize scans": 1}  # its book has a damaged page, as the guide says


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the guide's examples read."""
    receipt = Image.open(EXAMPLES / "receipt.png").convert("L")
    (tmp_path / "book.pdf").write_bytes(
        pdf_files.pdf([receipt, Image.new("L", receipt.size, 255), None, receipt])
    )
    for folder in (tmp_path, tmp_path / "scans", tmp_path / "truth"):
        folder.mkdir(exist_ok=True)
        shutil.copy(EXAMPLES / "receipt.png", folder)
    shutil.copy(EXAMPLES / "receipt.txt", tmp_path / "truth")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def test_the_guides_examples_run_as_they_stand(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (GUIDE.is_file() and EXAMPLES.is_dir() and bundled.path().is_file()):
        pytest.skip("this tree lacks the guide, the examples or the bundled model")
    for package in ("crispvl._core", "pydantic", "jsonschema", "rapidfuzz", "huggingface_hub"):
        pytest.importorskip(package)
    text = GUIDE.read_text("utf-8")
    names: dict[str, object] = {}
    for match in BLOCK.finditer(text):
        line = text[: match.start()].count("\n") + 2
        if match[1] == "python":
            # Line numbers of a failure are those of the guide.
            exec(compile("\n" * (line - 1) + match[2], str(GUIDE), "exec"), names)
            continue
        for command in re.findall(r"^\$ (.*)$", match[2], re.MULTILINE):
            expected = next((c for start, c in EXIT_CODES.items() if command.startswith(start)), 0)
            assert main(shlex.split(command)[1:]) == expected, f"{GUIDE}:{line}: {command}"
    assert len(str(names["document"])) > 20
    assert "Thank" in capsys.readouterr().out
    for written in ("receipt.html", "report.html", "all.jsonl", "rates.svg"):
        assert (desk / written).stat().st_size > 0
    assert len((desk / "all.jsonl").read_text().splitlines()) == 5
