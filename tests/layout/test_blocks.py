"""A page is cut at its white space where its print is too small to be read as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from crispvl import CrispOCR
from crispvl._core import find_layout
from crispvl.cli import main
from crispvl.hub import bundled
from crispvl.layout.regions import find_regions
from crispvl.results.lines import Rectangle
from rendered import RenderedPage


@pytest.fixture(scope="module")
def columns() -> RenderedPage:
    page = RenderedPage(dpi=150)
    page.column(20, 40, 75, n_lines=8)
    page.column(115, 40, 75, n_lines=8, first=5)
    return page


def _holds(region: Rectangle, box: tuple[float, ...]) -> bool:
    left, top, right, bottom = box
    return (
        region.left <= left and region.top <= top
        and right <= region.right and bottom <= region.bottom
    )  # fmt: skip


def test_print_that_is_large_enough_is_not_cut(columns: RenderedPage) -> None:
    layout = find_layout(columns.pixels)
    assert find_regions(layout, tile_px=4096, max_tiles=1) == [
        Rectangle(0, 0, layout.width, layout.height)
    ]


def test_small_print_is_cut_until_it_is_large_enough(columns: RenderedPage) -> None:
    layout = find_layout(columns.pixels)
    regions = find_regions(layout, tile_px=600, max_tiles=1)
    assert len(regions) == 2
    assert regions[0].right < regions[1].left  # the left column is read first
    for box in columns.lines:
        assert sum(_holds(region, box) for region in regions) == 1


def test_cutting_ends_however_small_the_print_remains(columns: RenderedPage) -> None:
    regions = find_regions(find_layout(columns.pixels), tile_px=1, max_tiles=1)
    assert 2 < len(regions) <= 32
    for box in columns.lines:
        assert any(_holds(region, box) for region in regions)


def test_a_page_is_read_block_by_block() -> None:
    page = RenderedPage(width_mm=100, height_mm=100, dpi=100)
    page.write(10, 12, "the quick brown", points=14)
    page.write(10, 90, "jumps over a lazy", points=14)
    with CrispOCR(threads=1) as ocr:
        read = ocr.recognize(page.pixels, layout="blocks", max_tiles=1)
        whole = ocr.recognize(page.pixels, layout="page", max_tiles=1)
    (found,) = read.pages
    assert found.layout == "blocks"
    assert found.n_tiles == found.text.count("\n\n") + 1 == 2
    assert found.text.split("\n\n")[0].startswith("the quick")
    assert (whole.pages[0].layout, whole.pages[0].n_tiles) == ("page", 1)
    assert found.finish_reason == "stop"


def test_auto_chooses_and_says_what_it_chose() -> None:
    large = RenderedPage(width_mm=40, height_mm=20, dpi=100)
    large.write(5, 12, "Large", points=20)
    small = RenderedPage(dpi=150)
    small.column(20, 30, 170, n_lines=30, points=8)
    with CrispOCR(threads=1) as ocr:
        told = [
            ocr.recognize(page.pixels, layout="auto", max_tokens=30, max_tiles=1).pages[0].layout
            for page in (large, small)
        ]
    assert set(told) <= {"page", "blocks", "lines"}
    assert told == ["page", "blocks"] or told == ["lines", "lines"]


def test_plan_counts_what_each_layout_costs(
    columns: RenderedPage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = tmp_path / "scan.png"
    columns.image.save(scan)
    assert main(["plan", str(bundled.path()), "--page", str(scan), "--json"]) == 0
    costs = {cost["layout"]: cost for cost in json.loads(capsys.readouterr().out)["layouts"]}
    assert list(costs) == ["page", "blocks", "lines"]
    with CrispOCR(threads=1) as ocr:
        for layout in ("page", "lines"):
            n_tiles = ocr.recognize(scan, layout=layout).n_tiles
            assert costs[layout]["n_tiles"] <= n_tiles  # lines in doubt are read again
    assert costs["page"]["n_prompts"] == 1
    assert costs["lines"]["n_tiles"] == costs["lines"]["n_prompts"] > 1
    assert main(["plan", str(bundled.path()), "--page", str(scan)]) == 0
    assert "  lines  " in capsys.readouterr().out
