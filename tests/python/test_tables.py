"""Tables that a model wrote are found, spans filled, whatever else stands around them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from crispvl.cli import main
from crispvl.results.tables import find_tables, to_csv
from hypothesis import given
from hypothesis import strategies as st

from .conftest import FakeModel

MARKDOWN = "Prices:\n| Item | € |\n|:---|---:|\n| Tea | 2.50 |\n| a \\| b | |\n\nThanks | bye\n"
HTML = """<TABLE border="1"><thead><tr><th colspan=2>Sum</th><th>n</th></tr></thead>
<tr><td rowspan="2">A&amp;B</td><td>1<br>2</td><td>x</td></tr><tr><td><b>3</b></td></tr></table>"""


def test_markdown_tables_are_found() -> None:
    assert find_tables(MARKDOWN) == ((("Item", "€"), ("Tea", "2.50"), ("a | b", "")),)
    assert find_tables("a | b\n--- | ---\n1 | 2 | 3") == ((("a", "b", ""), ("1", "2", "3")),)


def test_html_tables_are_found_with_their_spans() -> None:
    (table,) = find_tables(HTML)
    assert table == (("Sum", "Sum", "n"), ("A&B", "1\n2", "x"), ("A&B", "3", ""))


def test_tables_come_in_the_order_of_the_text() -> None:
    first, second, third = find_tables(MARKDOWN + HTML + "\n" + MARKDOWN)
    assert first == third
    assert second[0] == ("Sum", "Sum", "n")


def test_tables_that_are_cut_off_or_boastful_do_no_harm() -> None:
    assert find_tables("<table><tr><td>a<td>b") == ((("a", "b"),),)
    assert find_tables("<table></table> no | table") == ()
    (table,) = find_tables('<table><tr><td rowspan="9999999">a</td></tr></table>')
    assert table == (("a",),)


@given(st.text(alphabet='|-:\n ab<>/tabletrd="1', max_size=80))
def test_any_text_gives_rectangular_tables(text: str) -> None:
    for table in find_tables(text):
        assert len({len(row) for row in table}) == 1


@given(st.lists(st.lists(st.text("ab,\"' \n", min_size=1), min_size=2, max_size=2), min_size=1))
def test_csv_reads_back(rows: list[list[str]]) -> None:
    table = tuple(tuple(row) for row in rows)
    assert [tuple(row) for row in csv.reader(io.StringIO(to_csv([table])))] == list(table)


def test_the_command_writes_csv(
    core: FakeModel, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core.answer = list(HTML.encode())
    core.config["decoder"]["context_length"] = 4096
    assert main(["recognize", "-m", str(page), str(page), "--format", "csv"]) == 0
    assert capsys.readouterr().out == 'Sum,Sum,n\nA&B,"1\n2",x\nA&B,3,\n'
    assert "tables" in core.detokenize(core.prompts[-1]).decode()
