"""The section of a page of the documentation that a benchmark writes."""

from __future__ import annotations

from pathlib import Path

END = "<!-- end of what was measured -->"


def begin_mark(script: str) -> str:
    """The line behind which a script's section begins; `END` is behind it."""
    return f"<!-- measured: benchmarks/{script} writes the lines up to the next mark -->"


def write_section(page: Path, script: str, section: str) -> None:
    """Puts a section between the marks of a page.

    Raises:
        ValueError: The page has no such marks.
    """
    text, mark = page.read_text("utf-8"), begin_mark(script)
    begin, end = text.find(mark), text.find(END)
    if not 0 <= begin < end:
        raise ValueError(f"[{page}] the two marks of {script} expected; put them back")
    page.write_text(f"{text[:begin]}{mark}\n\n{section}\n\n{text[end:]}", "utf-8")
