"""The commands and queries of docs/cluster.md run as written."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
from crispvl.cli import main
from crispvl.convert import convert_header
from crispvl.hub import bundled
from PIL import Image
from tiny.released import released

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "cluster.md"
RECEIPT = ROOT / "examples" / "receipt.png"


def blocks(language: str) -> Iterator[str]:
    if not (PAGE.is_file() and RECEIPT.is_file()):
        pytest.skip("this tree lacks the guide or the examples")
    yield from re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)


def commands(name: str) -> Iterator[list[str]]:
    for block in blocks("sh"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:2] == ["crispvl", name]:
                yield words[1:]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder ``table`` of a receipt of which another one came in between."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("desk"))
        Path("scans").mkdir()
        shutil.copy(RECEIPT, "scans/receipt.png")
        for command in commands("batch"):
            assert main([*command, "--workers", "1"]) == 0
        before = Image.open(RECEIPT)
        before.crop((0, 0, before.width, before.height // 3)).save("scans/receipt.png")
        assert main(["batch", "scans", "-o", "table", "--workers", "1"]) == 0
        yield Path("table")


def test_the_table_is_read_with_pandas_and_daft(table: Path) -> None:
    for block in blocks("python"):
        package = re.search(r"import (\w+)", block)
        assert package is not None
        try:
            __import__(package[1])
        except ImportError:
            continue
        names: dict[str, object] = {}
        exec(compile(block, str(PAGE), "exec"), names)
        found = names.get("doubtful", names.get("pages"))
        columns = getattr(found, "column_names", getattr(found, "columns", ()))
        assert {"source", "page", "text", "confidence"} <= set(columns)


def test_the_table_is_read_with_duckdb(table: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    readings, latest = [duckdb.sql(block).fetchall() for block in blocks("sql")]
    assert len(readings) == 2
    assert "CORNER CAFE" in readings[0][2]
    assert len(latest) == 1
    assert max(len(text) for _, _, text in readings) > len(latest[0][3])


def test_the_plans_of_the_guide_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(bundled.path(), "model.gguf")
    convert_header(released(80, 8192, 64, 29568), Path("78b.gguf"))
    found = list(commands("plan"))
    assert len(found) == 3
    for command in found:
        assert main(command) == 0
    told = capsys.readouterr().out
    assert told.count("workers per machine") == 3
    assert "GPUs per worker     3" in told
