"""The gallery's commands print what its page says, with the bundled model."""

from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GALLERY = ROOT / "docs" / "gallery.md"
NEEDED = {
    "receipts_to_spreadsheet.py": (), "tables_to_csv.py": (), "searchable_pdfs.py": ("ocrmypdf",),
    "rag_loader.py": ("langchain_core",), "invoices_by_schema.py": ("llguidance", "pydantic"),
}  # fmt: skip

pytestmark = pytest.mark.skipif(not GALLERY.is_file(), reason="this tree lacks the gallery")


def shown() -> list[tuple[str, str]]:
    """Each command of the page with what it prints."""
    text = GALLERY.read_text("utf-8") if GALLERY.is_file() else ""
    blocks = re.findall(r"^```console\n\$ (.*)\n((?:.*\n)*?)```$", text, re.MULTILINE)
    return [(command, printed) for command, printed in blocks if "examples/" in command]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A clone's folder of examples, and two scans."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "scans").mkdir()
    for name in ("paragraph.png", "receipt.png"):
        shutil.copy(ROOT / "examples" / name, tmp_path / "scans")
    return tmp_path


def run(command: str, desk: Path) -> str:
    pytest.importorskip("crispvl._core")
    _, script, *arguments = shlex.split(command)
    for package in NEEDED.get(Path(script).name, ()):
        pytest.importorskip(package)
    done = subprocess.run(
        [sys.executable, script, *arguments], cwd=desk, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("command", "printed"), shown())
def test_a_command_of_the_gallery_prints_what_the_page_shows(
    command: str, printed: str, desk: Path
) -> None:
    def without_shares(text: str) -> str:  # they differ in the last digit between CPUs
        return re.sub(r" *\d+%", "", text)

    assert without_shares(run(command, desk)) == without_shares(printed)


def test_every_script_of_the_gallery_is_on_its_page() -> None:
    page = GALLERY.read_text("utf-8")
    for script in (*NEEDED, "docling_server.py"):
        assert f"examples/{script}" in page


def test_the_table_is_read_as_it_was_drawn(desk: Path) -> None:
    run("python examples/tables_to_csv.py examples/table.png", desk)
    truth = (desk / "examples" / "table.csv").read_text()
    assert (desk / "tables" / "page1_table1.csv").read_text() == truth


def test_a_spreadsheet_holds_what_csv_does(desk: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    for name in ("r.csv", "r.xlsx"):
        run(f"python examples/receipts_to_spreadsheet.py examples/receipt.png -o {name}", desk)
    with (desk / "r.csv").open(encoding="utf-8") as file:
        plain = list(csv.reader(file))
    sheet = openpyxl.load_workbook(desk / "r.xlsx").active
    head, *rows = sheet.values
    assert list(head) == plain[0]
    assert [[*row[:2], *map(float, row[2:])] for row in plain[1:]] == [list(row) for row in rows]
    assert [row[1] for row in plain[1:]] == ["2 Coffee", "1 Bagel", "1 Soup", "3 Cookie", "TOTAL"]


def test_a_second_run_makes_only_the_pdfs_that_are_missing(desk: Path) -> None:
    command = "python examples/searchable_pdfs.py scans searchable"
    run(command, desk)
    (desk / "searchable" / "receipt.png.pdf").unlink()
    assert re.findall(r"^\S+", run(command, desk)) == ["searchable/receipt.png.pdf:"]


def test_an_invoice_is_an_object_or_says_what_it_lacks(desk: Path) -> None:
    command = "python examples/invoices_by_schema.py examples/receipt.png --max-tokens 60"
    told = run(command, desk)
    assert re.match(
        r'\{"number":|examples/receipt.png: \[extract\] expected a complete object', told
    )
