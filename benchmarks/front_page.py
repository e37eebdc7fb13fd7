"""Writes the README's tables from what was measured; a table without figures is left out.

    python benchmarks/front_page.py

| table | figures | made by |
|---|---|---|
| exactness | ``results/exactness.json`` | ``exactness.py`` |
| speed | ``results/zen4.jsonl`` | ``compare.py`` |
| reading | ``results/real_pages.json`` | ``models/nano/evaluate.py --real`` with ``--json`` |
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import report
import work

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_MARKS = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NAMES = {
    "tesseract": "Tesseract", "rapidocr": "RapidOCR",
    "pages": "documents of nine kinds", "receipts": "scanned receipts", "scans": "magazine pages",
}  # fmt: skip
"""Readers and folders of pages, as a reader of the table knows them."""
_SHOWN = (work.ENCODE, f"{work.PREFILL}-2048", f"{work.DECODE}-1", f"{work.DECODE}-8", work.PAGE)


def exactness(path: Path) -> Iterator[str]:
    """Least cosine of a row with the published code's, by type."""
    found: dict[str, dict[str, float]] = json.loads(path.read_text())
    stages = list(next(iter(found.values())))
    yield "| file type | " + " | ".join(stages) + " |"
    yield "|---" * (1 + len(stages)) + "|"
    for kind, cosines in found.items():
        yield f"| `{kind}` | " + " | ".join(_floored(cosines[stage]) for stage in stages) + " |"


def _floored(cosine: float) -> str:
    """Seven digits, never rounded up."""
    return f"{int(cosine * 1e7) / 1e7:.7f}"


def speed(path: Path) -> Iterator[str]:
    """The first model of a log, with how many times as fast each peer."""
    log = report.read_log(path)
    rows = report.medians(log, report.models(log)[0])
    peers = [peer for peer in report.PEERS if any(peer in rows.get(name, {}) for name in _SHOWN)]
    yield "| work | crispvl | " + " | ".join(f"× {peer}" for peer in peers) + " |"
    yield "|---" * (2 + len(peers)) + "|"
    for name in _SHOWN:
        if report.OURS not in rows.get(name, {}):
            continue
        row = rows[name]
        ratios = [
            f"{report.ratio(name, row[report.OURS], row[peer]):.1f}" if peer in row else "–"
            for peer in peers
        ]
        ours = report.with_unit(name, row[report.OURS])
        yield f"| {report.label(name)} | {ours} | " + " | ".join(ratios) + " |"


def reading(path: Path) -> Iterator[str]:
    """F1 of the words on real pages, by reader; with its heading, since it may have no figures."""
    yield "## How well the bundled model reads"
    yield ""
    yield "F1 score of the words on real pages, each reader with its default settings:"
    yield ""
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(path.read_text())
    readers = list(dict.fromkeys(name for by_reader in found.values() for name in by_reader))
    yield "| pages | " + " | ".join(_NAMES.get(reader, reader) for reader in readers) + " |"
    yield "|---" * (1 + len(readers)) + "|"
    for place, by_reader in found.items():
        n_pages = next(iter(by_reader.values()))["pages"]
        cells = [f"{by_reader[r]['f1']:.3f}" if r in by_reader else "–" for r in readers]
        yield f"| {_NAMES.get(place, place)} ({n_pages}) | " + " | ".join(cells) + " |"


TABLES: dict[str, tuple[str, Callable[[Path], Iterator[str]]]] = {
    "exactness": ("exactness.json", exactness),
    "speed": ("zen4.jsonl", speed),
    "reading": ("real_pages.json", reading),
}


def filled(page: str, results: Path) -> str:
    """Returns a page with the tables between its marks.

    Raises:
        KeyError: A mark names no table.
    """

    def table(match: re.Match[str]) -> str:
        name, make = TABLES[match[2]]
        lines = [*make(results / name)] if (results / name).is_file() else []
        told = "\n".join(["", *lines, "", ""]) if lines else ""
        return f"{match[1]}{told}{match[3]}"

    return _MARKS.sub(table, page)


def main() -> None:
    page = ROOT / "README.md"
    page.write_text(filled(page.read_text("utf-8"), RESULTS), "utf-8")


if __name__ == "__main__":
    main()
