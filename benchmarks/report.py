#!/usr/bin/env python3
"""Tables and a plot of what compare.py measured.

python benchmarks/report.py results.jsonl [--plot results.svg]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import work

OURS, LLAMA, IK_LLAMA, TRANSFORMERS = "crispvl", "llama.cpp", "ik_llama.cpp", "transformers"
GGML = "ggml's kernels"
"""crispvl without its own ones; see kernels.py."""
OPENVINO = {
    "OpenVINO bf16": "bf16",
    "OpenVINO int8 weights": "int8-weights",
    "OpenVINO int8": "int8",
}
"""Sides of openvino_side.py, and what it calls them."""
PEERS = (LLAMA, IK_LLAMA, TRANSFORMERS, *OPENVINO, GGML)
_KINDS = (work.ENCODE, work.PREFILL, work.DECODE, work.PAGE, work.PAGES, work.LOAD, work.PEAK)
_MORE_IS_BETTER = (work.PREFILL, work.DECODE, work.PAGES)

MOST_FOR_OTHERS = 0.1
"""A run during which other programs had more than this share of the CPUs does not count."""

Line = dict[str, Any]
Medians = dict[str, dict[str, float]]
"""Name of the work, then side, to the median of its runs."""


def read_log(path: Path) -> list[Line]:
    """Returns the lines that compare.py wrote, without those of disturbed runs."""
    lines = [json.loads(line) for line in path.read_text().splitlines() if line]
    return [line for line in lines if line["others"] <= MOST_FOR_OTHERS]


def medians(lines: Iterable[Line], model: str) -> Medians:
    """Medians of one model's runs, in the order of `_KINDS` and of their numbers."""
    found: dict[str, dict[str, list[float]]] = {}
    for line in lines:
        if line["model"] == model:
            for name, value in line["values"].items():
                found.setdefault(name, {}).setdefault(line["side"], []).append(value)
    return {
        name: {side: statistics.median(values) for side, values in found[name].items()}
        for name in sorted(found, key=_order)
    }


def ratio(name: str, ours: float, theirs: float) -> float:
    """How many times better we are: as fast, or with as little memory."""
    return ours / theirs if _kind(name) in _MORE_IS_BETTER else theirs / ours


def models(lines: Iterable[Line]) -> list[str]:
    """The models of a log in its order."""
    return list(dict.fromkeys(line["model"] for line in lines))


def tables(lines: Sequence[Line]) -> str:
    """A Markdown table for each model, with what many at a time bring below."""
    return "\n\n".join(_section(model, medians(lines, model)) for model in models(lines))


def plot(lines: Sequence[Line], path: Path) -> None:
    """Draws how many times as fast as each peer we are, a panel for each peer."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "crispvl"  # the same picture is the same file
    from matplotlib import pyplot

    by_model = {model: medians(lines, model) for model in models(lines)}
    peers = [p for p in PEERS if any(p in row for m in by_model.values() for row in m.values())]
    shown = [name for m in by_model.values() for name in m if _kind(name) != work.PEAK]
    names = sorted({name for name in shown if _kind(name) != work.PAGES}, key=_order)
    height = 1 + 0.13 * len(names) * (len(by_model) + 1)
    figure, panels = pyplot.subplots(
        1, max(1, len(peers)), figsize=(5 * max(1, len(peers)), height), sharey=True, squeeze=False
    )
    thickness = 0.8 / len(by_model)
    for panel, peer in zip(panels[0], peers, strict=False):
        for i, (model, rows) in enumerate(by_model.items()):
            ratios = [
                ratio(name, rows[name][OURS], rows[name][peer])
                if {OURS, peer} <= rows.get(name, {}).keys()
                else math.nan
                for name in names
            ]
            places = [j + (i - (len(by_model) - 1) / 2) * thickness for j in range(len(names))]
            panel.barh(places, ratios, thickness, label=model)
        panel.axvline(1, color="black", linewidth=0.8)
        panel.set_xlabel(f"times as fast as {peer}")
        panel.set_yticks(range(len(names)), [label(name) for name in names])
    panels[0][0].invert_yaxis()
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", fontsize=8)
    figure.tight_layout(rect=(0, 0.06 + 0.03 * len(by_model), 1, 1))
    figure.savefig(path, metadata={"Date": None})


def label(name: str) -> str:
    """A row's name for people."""
    kind, _, number = name.partition("-")
    streams = "one stream" if number == "1" else f"{number} streams"
    return {
        work.ENCODE: f"encode, one {work.TILE_PX} px tile",
        work.PREFILL: f"prefill, {number} tokens",
        work.DECODE: f"decode, {streams}",
        work.PAGE: f"A4 page, {work.ANSWER_TOKENS} tokens",
        work.PAGES: f"{number} such pages together",
        work.LOAD: "load, files in the page cache",
        work.PEAK: "peak memory",
    }[kind]


def _section(model: str, rows: Medians) -> str:
    peers = [peer for peer in PEERS if any(peer in row for row in rows.values())]
    lines = [
        f"**{model}**\n",
        "| work | " + " | ".join([OURS, *(f"{peer} | ratio" for peer in peers)]) + " |",
        "|---" * (2 + 2 * len(peers)) + "|",
    ]
    for name, row in rows.items():
        cells = [label(name), with_unit(name, row.get(OURS))]
        for peer in peers:
            both = {OURS, peer} <= row.keys()
            cells += [
                with_unit(name, row.get(peer)),
                f"{ratio(name, row[OURS], row[peer]):.2f}" if both else "—",
            ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, *(f"\n{sentence}" for sentence in _together(rows))])


def _together(rows: Medians) -> Iterable[str]:
    """What several streams and several pages at a time bring us."""
    ours = {name: row[OURS] for name, row in rows.items() if OURS in row}
    for name, value in ours.items():
        kind, _, number = name.partition("-")
        if kind == work.DECODE and number != "1" and "decode-1" in ours:
            one = ours["decode-1"]
            yield f"{number} streams decode {value / one:.2f} times the tokens of one."
        if kind == work.PAGES and work.PAGE in ours:
            one = 60 / ours[work.PAGE]
            yield (
                f"{number} pages with `recognize_many`: {value / one:.2f} times the pages a minute "
                "of one at a time."
            )


def with_unit(name: str, value: float | None) -> str:
    """A value for people, with three digits."""
    if value is None:
        return "—"
    unit = {
        work.PREFILL: "tokens/s", work.DECODE: "tokens/s", work.PAGES: "pages/min",
        work.PEAK: "MiB",
    }.get(_kind(name), "s")  # fmt: skip
    digits = max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{digits}f} {unit}"


def _kind(name: str) -> str:
    return name.partition("-")[0]


def _order(name: str) -> tuple[int, int]:
    kind, _, number = name.partition("-")
    return _KINDS.index(kind), int(number or 0)


def main() -> None:
    """Prints the tables of a log."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("log", type=Path, help="what compare.py --log wrote")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="SVG of the ratios")
    args = parser.parse_args()
    lines = read_log(args.log)
    print(tables(lines))
    if args.plot:
        plot(lines, args.plot)


if __name__ == "__main__":
    main()
