"""What was measured of a server under load is written into its page."""

from __future__ import annotations

from pathlib import Path

import pytest


def figures() -> dict[str, object]:
    where = {"date": "2026-12-01", "machine": "2 CPUs, x86_64", "model": "the bundled model"}
    outcomes = {"good": 900, "document": 31, "left": 700, "refused": 555}
    storm = {"n_clients": 64, "duration_s": 120.0, "memory_mib": [900, 910], "outcomes": outcomes}
    crowd = {"n_clients": 1600, "memory_mib": [1200], "outcomes": {"200": 1600}}
    rates = {"crispvl": 6.0, "llama-server": 1.5}
    against = {"n_clients": 8, "n_pages": 16, "n_tokens": 128, "pages_per_min": rates}
    return {
        "storm": where | storm | {"p50_s": 3.5, "p99_s": 12.25},
        "crowd": where | crowd | {"p50_s": 40.0, "p99_s": 80.0},
        "together": where | {"n_clients": 8, "tokens_per_s": [20.0, 70.0]},
        "against": where | against,
    }


def test_each_load_that_was_measured_is_told(tmp_path: Path) -> None:
    from server_report import BEGIN, END, write_report

    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nlast year\n{END}\nafter\n")
    write_report({"together": figures()["together"]}, page)
    assert "p99" not in page.read_text("utf-8")
    write_report(figures(), page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "last year" not in text
    for told in (
        "2026-12-01, 2 CPUs, x86_64, the bundled model: 64 clients for 120 s",
        "900 answers",
        "p50 3.50 s, p99 12.25 s",
        "1600 were answered and 0 told to come back",
        "one client gets 20.0 tokens/s, 8 together 70.0, 3.50 times",
        "6.00 pages/min, llama.cpp's server 1.50: 4.00 times",
    ):
        assert text.count(told) == 1, told


def test_a_page_without_marks_is_left_as_it_is(tmp_path: Path) -> None:
    from server_report import write_report

    page = tmp_path / "page.md"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="two marks"):
        write_report(figures(), page)
    assert page.read_text() == "no marks"


def test_a_tally_counts_half_and_nearly_all_of_the_answers_times() -> None:
    pytest.importorskip("httpx")
    from server_client import Tally

    tally = Tally(2, seconds=[float(i) for i in range(101)])
    tally.outcomes["good"] += 101
    assert tally.figures() == {
        "n_clients": 2, "outcomes": {"good": 101}, "p50_s": 50.0, "p99_s": 99.0
    }  # fmt: skip
