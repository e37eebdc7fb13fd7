"""Tables that a model wrote are found, spans filled, whatever else is around them."""

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


def test_a_table_within_a_cell_is_part_of_its_text_and_loses_no_cell_behind_it() -> None:
    inner = "<table><tr><td>x</td><td>y</td></tr><tr><td>z</td></tr></table>"
    outer = f"<table><tr><td>a {inner} b</td><td>c</td></tr><tr><td>d</td><td>e</td></tr></table>"
    assert find_tables(outer) == ((("a x y\nz b", "c"), ("d", "e")),)
    assert find_tables(outer.replace("x", inner, 1))[0][0][1] == "c"
    cut_off = outer[: outer.index("b</td>")]
    assert find_tables(cut_off) == ((("a x y\nz",),),)
    assert len(find_tables(outer + outer)) == 2
    unclosed = "<table><tr><td>a</td></tr>\n<table><tr><td>b</td></tr></table>"
    assert find_tables(unclosed) == ((("a",),), (("b",),))


def test_a_table_between_cells_loses_none_of_them() -> None:
    inner = "<table><tr><td>1</td></tr></table>"
    between = f"<table><tr><td>a</td>{inner}<td>b</td></tr></table>"
    assert find_tables(between) == ((("a",),), (("1",),), (("b",),))
    row = f"| a | b | c |\n|---|---|---|\n| x | {inner} | y |\n| p | q | r |"
    assert find_tables(row) == ((("a", "b", "c"), ("x", "", "y"), ("p", "q", "r")), (("1",),))


@pytest.mark.parametrize("span", ["2", " 2", "+2", "2px", "2 "])
def test_spans_are_read_as_browsers_read_them(span: str) -> None:
    rows = f'<tr><td colspan="{span}">a</td><td>b</td></tr><tr><td>c<td>d<td>e</tr>'
    assert find_tables(f"<table>{rows}</table>") == ((("a", "a", "b"), ("c", "d", "e")),)


@pytest.mark.parametrize("span", ["-2", "", "two", "\u0662"])
def test_a_span_that_is_no_number_is_1(span: str) -> None:
    assert find_tables(f'<table><tr><td colspan="{span}">a<td>b</table>') == ((("a", "b"),),)


def test_a_rowspan_of_0_reaches_to_the_end_of_its_group_of_rows() -> None:
    rows = '<tr><td rowspan="0">a</td><td>1</td></tr><tr><td>2</td></tr>'
    foot = "<tr><td>3</td><td>4</td></tr>"
    expected = (("a", "1"), ("a", "2"), ("3", "4"))
    assert find_tables(f"<table><tbody>{rows}</tbody><tfoot>{foot}</tfoot></table>") == (expected,)
    assert find_tables(f"<table><tbody>{rows}<tbody>{foot}</table>") == (expected,)
    assert find_tables(f"<table>{rows}</table>") == (expected[:2],)
    beyond = '<tr><td rowspan="9">a</td><td colspan="0">1</td></tr>'
    assert find_tables(f"<table><thead>{beyond}</thead>{foot}</table>") == (
        (("a", "1"), ("3", "4")),
    )


@pytest.mark.parametrize(
    "text", ["a | b\n---\nc | d", "| a | b |\n|---|", "a | b\n:---:\n", "|\n-"]
)
def test_a_rule_of_one_column_under_several_makes_no_table(text: str) -> None:
    assert find_tables(text) == ()


def test_a_rule_may_have_another_number_of_columns_where_both_have_several() -> None:
    assert find_tables("a | b\n---|---|---\n1 | 2") == ((("a", "b"), ("1", "2")),)
    assert find_tables("| a |\n|---|\n| 1 |") == ((("a",), ("1",)),)


@given(st.text(alphabet='|-:\n ab<>/tabletrd="1', max_size=80))
def test_any_text_gives_rectangular_tables(text: str) -> None:
    for table in find_tables(text):
        assert len({len(row) for row in table}) == 1


@given(st.lists(st.lists(st.text("ab,\"' \n", min_size=1), min_size=2, max_size=2), min_size=1))
def test_csv_reads_back(rows: list[list[str]]) -> None:
    table = tuple(tuple(row) for row in rows)
    assert [tuple(row) for row in csv.reader(io.StringIO(to_csv([table])))] == list(table)


def test_a_document_without_a_table_makes_no_empty_csv(
    core: FakeModel, page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    assert main(["recognize", "-m", str(page), str(page), "--format", "csv", "-o", str(out)]) == 1
    assert (
        f"{page}: [--format csv] expected a table in this document; found none"
        in capsys.readouterr().err
    )
    assert not out.exists()


def test_the_command_writes_csv(
    core: FakeModel, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core.answer = list(HTML.encode())
    core.config["decoder"]["context_length"] = 4096
    assert main(["recognize", "-m", str(page), str(page), "--format", "csv"]) == 0
    assert capsys.readouterr().out == 'Sum,Sum,n\nA&B,"1\n2",x\nA&B,3,\n'
    assert "tables" in core.detokenize(core.prompts[-1]).decode()
