"""What was measured of a cluster is written into its page, with what follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest


def figures() -> dict[str, object]:
    def run(seconds: float, n_read: int = 500) -> dict[str, float]:
        return {"n_read": n_read, "seconds": seconds, "command_s": seconds + 1}

    runs = {"one": run(500.0), "two": run(280.0)}
    runs |= {"ray_one": run(520.0), "ray_two": run(300.0)}
    runs |= {"again": run(1.0, 0), "ray_again": run(5.0, 0)}
    killed = {"n_workers_killed": 3, "n_before_the_drivers_death": 128}
    return {
        "date": "2026-12-01", "machine": "2 CPUs, x86_64", "n_pages": 500, "runs": runs,
        "killed": killed,
    }  # fmt: skip


def test_rates_and_what_follows_from_them_are_told() -> None:
    from cluster_report import lines

    told = "\n".join(lines(figures()))
    assert "| one worker | 1.00 | 1.00 |" in told
    assert "| two workers | 1.79 | 1.79 |" in told
    assert "With 3 workers killed" in told
    assert "after 128 pages" in told
    assert "| two workers of a Ray cluster | 1.67 | 1.73 |" in told
    assert "87% of one worker's rate" in told
    assert "| 16 | 13.3 | 20.8 h |" in told


def test_a_rate_of_thousands_is_told_in_digits() -> None:
    from cluster_report import lines

    fast = figures()
    for name in ("ray_one", "ray_two"):
        fast["runs"][name]["seconds"] /= 8  # type: ignore[index]
    assert "| 256 | 1707 | 0.2 h |" in "\n".join(lines(fast))
    for name in ("ray_one", "ray_two"):
        fast["runs"][name]["seconds"] /= 10  # type: ignore[index]
    assert "| 256 | 17067 | 0.0 h |" in "\n".join(lines(fast))


def test_the_page_keeps_what_is_around_the_marks(tmp_path: Path) -> None:
    from cluster_report import BEGIN, END, write_report

    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_report(figures(), page)
    write_report(figures(), page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert text.count("| two workers |") == 1
    page.write_text("no marks")
    with pytest.raises(ValueError, match="two marks"):
        write_report(figures(), page)
