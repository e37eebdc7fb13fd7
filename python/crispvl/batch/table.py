"""What the table has when a run begins, mended where an earlier run left it in disorder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crispvl._version import __version__
from crispvl.batch.job import Job
from crispvl.batch.ledger import Ledger
from crispvl.batch.parts import check_format, identities, keep_rows
from crispvl.batch.rows import NO_PAGE, Row
from crispvl.batch.storage import Folder
from crispvl.errors import DocumentChangedError, PasswordError
from crispvl.inputs.utf8 import path_name
from crispvl.options.page_ranges import is_page_of


def note_table(job: Job, folder: Folder, ledger: Ledger) -> None:
    """Notes the rows of the table, and takes out those that the job is to read again.

    To be called when the ledger has the job's documents: of others nothing is taken out.

    The second row of a page is taken out as well: two runs at the same time can have written it, or
    a machine that was taken for dead.

    Raises:
        OutputError: The folder holds something else, or a table of another format.
    """
    check_format(folder, job.format)
    for name, rows in identities(folder, job.format):
        kept = [not _again(job, ledger, row) and ledger.add(row) for row in rows]
        if not all(kept):
            keep_rows(folder, name, job.format, kept)
    ledger.mark_finished()


def _again(job: Job, ledger: Ledger, row: Row) -> bool:
    """Whether a row is of a page that the job reads, and reads again."""
    if job.resume and not _is_retried(job, row["error_type"]):
        return False
    if not (job.is_of(row) and ledger.expects(row["source"])):
        return False
    return row["page"] == NO_PAGE or is_page_of(job.read.pages, row["page"])


def _is_retried(job: Job, error_type: str | None) -> bool:
    """Whether what ended in this error is read again: asked or not, if it may have passed."""
    if error_type == PasswordError.__name__ and job.read.password is not None:
        return True
    if error_type == DocumentChangedError.__name__:
        return True
    return job.retry_failed and error_type is not None


@contextmanager
def settings_written(job: Job, folder: Folder) -> Iterator[None]:
    """Writes what the hashes in the rows stand for; finds out early whether writing is allowed.

    Takes it away again where the block fails without having written a part.

    Raises:
        OutputError: Writing is not allowed.
    """
    name = f"_settings-{job.settings_hash[:16]}-{job.model_hash[:16]}.json"
    if folder.has(name):
        yield
        return
    facts = {
        "model": job.model_hash,
        "settings": job.settings_hash,
        "crispvl": __version__,
        "model_name": None if job.model is None else Path(path_name(job.model)).name,
        "read_with": job.settings,
    }
    n_parts = _n_parts(job, folder)
    folder.write(name, json.dumps(facts, indent=1, ensure_ascii=False).encode())
    try:
        yield
    except BaseException:
        if _n_parts(job, folder) == n_parts:
            folder.remove(name)
        raise


def _n_parts(job: Job, folder: Folder) -> int:
    return sum(1 for _ in folder.files(f".{job.format}"))
