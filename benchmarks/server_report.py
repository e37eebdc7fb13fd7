"""What `server_load.py` measured, as the section of ``docs/server.md`` that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from measured_section import END, begin_mark, write_section

__all__ = ["BEGIN", "END", "write_report"]

BEGIN = begin_mark("server_load.py")


def write_report(figures: dict[str, Any], page: Path) -> None:
    """Puts the figures between the marks of a page.

    Raises:
        ValueError: The page has no such marks.
    """
    told = "\n\n".join(_TELL[load](figures[load]) for load in _TELL if load in figures)
    write_section(page, "server_load.py", told)


def _storm(told: dict[str, Any]) -> str:
    outcomes, (early, late) = told["outcomes"], told["memory_mib"]
    return (
        f"{_where(told)}: {told['n_clients']} clients for {told['duration_s']:.0f} s, of whom some "
        f"leave at random moments and some send garbage. {outcomes.get('good', 0)} answers, each "
        f"the one that the same request gets alone, {outcomes.get('document', 0)} documents, "
        f"{outcomes.get('left', 0)} that were abandoned, {outcomes.get('refused', 0)} refused; p50 "
        f"{told['p50_s']:.2f} s, p99 {told['p99_s']:.2f} s; {early} MiB in the second quarter, "
        f"{late} MiB in the last; no place was still taken at the end."
    )


def _crowd(told: dict[str, Any]) -> str:
    outcomes = told["outcomes"]
    refused = outcomes.get("429", 0)
    return (
        f"{_where(told)}: {told['n_clients']} connections at once, each for eight tokens. "
        f"{outcomes.get('200', 0)} were answered and {refused} told to come back; p50 "
        f"{told['p50_s']:.2f} s, p99 {told['p99_s']:.2f} s; {told['memory_mib'][0]} MiB."
    )


def _together(told: dict[str, Any]) -> str:
    one, many = told["tokens_per_s"]
    return (
        f"{_where(told)}: one client gets {one:.1f} tokens/s, {told['n_clients']} together "
        f"{many:.1f}, {many / one:.2f} times as many."
    )


def _against(told: dict[str, Any]) -> str:
    rates = told["pages_per_min"]
    ratio = rates["crispvl"] / rates["llama-server"]
    return (
        f"{_where(told)}: {told['n_pages']} pages (A4, 150 dpi) with answers of "
        f"{told['n_tokens']} tokens, {told['n_clients']} clients, the same requests. crispvl reads "
        f"{rates['crispvl']:.2f} pages/min, llama.cpp's server {rates['llama-server']:.2f}: "
        f"{ratio:.2f} times as many."
    )


def _where(told: dict[str, Any]) -> str:
    return f"{told['date']}, {told['machine']}, {told['model']}"


_TELL = {"storm": _storm, "crowd": _crowd, "together": _together, "against": _against}
