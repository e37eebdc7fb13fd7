"""What `cluster.py` measured, as the section of ``docs/cluster.md`` that says so."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from measured_section import END, begin_mark, write_section

__all__ = ["BEGIN", "END", "write_report"]

BEGIN = begin_mark("cluster.py")
WORKERS = (1, 2, 4, 16, 64, 256)
PAGES = 1_000_000


def write_report(figures: dict[str, Any], page: Path) -> None:
    """Puts the figures between the marks of a page.

    Raises:
        ValueError: The page has no such marks.
    """
    told = "\n".join(lines(figures))
    write_section(page, "cluster.py", told)


def lines(figures: dict[str, Any]) -> list[str]:
    """The section, as Markdown."""
    runs, n_pages = figures["runs"], figures["n_pages"]
    killed = figures["killed"]
    return [
        f"{figures['date']}, {figures['machine']}, the bundled model, {n_pages} pages (receipts, "
        "paragraphs and code), workers of one thread:",
        "",
        "| run | pages/s | against one worker |",
        "|---|---|---|",
        *(
            _measured(title, runs[name], runs[one])
            for title, (name, one) in _TITLES.items()
            if name in runs
        ),
        "",
        f"With {killed['n_workers_killed']} workers killed at random moments and the driver once, "
        f"after {killed['n_before_the_drivers_death']} pages, the table was that of one process, "
        f"page for page. Running it again took {runs['again']['command_s']:.1f} s on this machine "
        f"and {runs['ray_again']['command_s']:.1f} s on Ray, and read nothing.",
        "",
        *_extrapolated(runs),
    ]


_TITLES = {
    "one worker": ("one", "one"),
    "two workers": ("two", "one"),
    "one worker of a Ray cluster": ("ray_one", "ray_one"),
    "two workers of a Ray cluster": ("ray_two", "ray_one"),
    "one at half speed, Ray on the other core": ("turns_one", "turns_one"),
    "two at half speed, Ray on the other core": ("turns_two", "turns_one"),
}
"""Of each run, and of the run of one worker that it is compared with."""


def _measured(title: str, run: dict[str, Any], one: dict[str, Any]) -> str:
    rate = run["n_read"] / run["seconds"]
    return f"| {title} | {rate:.2f} | {rate * one['seconds'] / one['n_read']:.2f} |"


def _extrapolated(runs: dict[str, Any]) -> list[str]:
    one, two = runs["ray_one"], runs["ray_two"]
    rate = one["n_read"] / one["seconds"]
    kept = one["seconds"] / two["seconds"] / 2
    rates = {n: rate * n * (kept if n > 1 else 1.0) for n in WORKERS}
    return [
        f"What follows for {PAGES:,} such pages on a Ray cluster, from the rates of one and two "
        "of its workers, start included. This assumes that every machine is like this one and has "
        f"two workers, which keep {kept:.0%} of one worker's rate each; that storage keeps up; and "
        "that the driver, which does nothing for each page, does not slow them down:",
        "",
        "| workers | pages/s | time |",
        "|---|---|---|",
        *(f"| {n} | {_rate(rate)} | {_duration(PAGES / rate)} |" for n, rate in rates.items()),
    ]


def _rate(pages_per_second: float) -> str:
    """Returns three digits of a rate, and all those before the point."""
    return f"{pages_per_second:.3g}" if pages_per_second < 1000 else f"{pages_per_second:.0f}"


def _duration(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{math.ceil(hours / 24)} days"
