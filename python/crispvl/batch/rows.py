"""A row of the table: one page of one document, or a document that could not be opened."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, TypeAlias

from crispvl.batch.documents import ReadTask
from crispvl.batch.job import Job
from crispvl.batch.storage import Stored
from crispvl.inputs.utf8 import encodable, path_name
from crispvl.results.lines import Line
from crispvl.results.page import Page, describe_error

Row: TypeAlias = dict[str, Any]

NO_PAGE = 0
"""Number in the row of a document that could not be opened."""


def page_row(job: Job, task: ReadTask, page: Page) -> Row:
    """What was read from a page."""
    row = _row(job, task, page.number) | {
        "text": page.text,
        "lines": [_line(line) for line in page.lines],
        "confidence": page.confidence,
        "flags": list(page.flags),
        "finish_reason": page.finish_reason,
        "width_px": page.width_px,
        "height_px": page.height_px,
        "timings": {name: float(ms) for name, ms in page.timings.to_dict().items()},
    }
    return row | _error(page.error)


def failed_row(job: Job, task: ReadTask, page: int, error: Exception) -> Row:
    """A page that could not be read."""
    return _row(job, task, page) | _error(error)


def unopened_row(job: Job, found: Stored, error: Exception, digest: str | None = None) -> Row:
    """A document that could not be opened; its version is in its key where no hash is known."""
    task = ReadTask(
        source=found.name,
        version=found.version,
        document=found.version if digest is None else digest,
        n_pages=0,
        pages=(),
    )
    return failed_row(job, task, NO_PAGE, error) | {"document": digest or ""}


def _row(job: Job, task: ReadTask, page: int) -> Row:
    return {
        "key": job.page_key(task.source, task.document, page),
        "source": path_name(task.source),
        "page": page,
        "text": "",
        "lines": [],
        "confidence": 0.0,
        "flags": [],
        "error": None,
        "error_type": None,
        "finish_reason": None,
        "width_px": 0,
        "height_px": 0,
        "timings": {},
        "read_at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "document": task.document,
        "version": task.version,
        "n_pages": task.n_pages,
        "model": job.model_hash,
        "settings": job.settings_hash,
    }


def _error(error: Exception | None) -> Row:
    found = describe_error(error)
    if found is None:
        return {}
    return {"error": encodable(found["message"]), "error_type": found["type"]}


def _line(line: Line) -> Row:
    return {
        "text": line.text,
        "box": None if line.box is None else [float(edge) for edge in line.box],
        "confidence": float(line.confidence),
    }
