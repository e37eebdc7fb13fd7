"""What a model reads on many images, each with its question, kept so that a later run goes on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from crispvl.cli import complain
from crispvl.cli.arguments import read_options
from crispvl.cli.records import Record, RecordFile, tell_change
from crispvl.inputs.versions import file_version
from crispvl.options import LoadOptions, ReadOptions
from crispvl.reading.ocr import CrispOCR
from crispvl.reading.settings import settings
from crispvl.results.document import Document
from crispvl.results.json_lines import document_facts
from crispvl.results.page import describe_error


@dataclass(frozen=True)
class Task:
    """An image, and what is asked about it; None asks the usual."""

    key: str
    """Names the task among the others."""
    image: Path
    prompt: str | None


def answer_all(
    args: argparse.Namespace,
    tasks: Sequence[Task],
    model: str | None,
    mmproj: str | None,
    path: Path | None,
) -> list[Record]:
    """Returns a record per task, in their order.

    Args:
        args: Options of loading and reading, ``resume`` and ``retry_failed``.
        tasks: What is to be read.
        model: As `CrispOCR` takes it.
        mmproj: Its projector.
        path: File that gets each record as soon as there is one, and whose records are kept with
            ``resume``; None keeps none.

    Raises:
        ValueError: The file's records are of another model or other settings.
    """
    options = read_options(args, ReadOptions)
    with ExitStack() as stack:
        load = read_options(args, LoadOptions)
        ocr = stack.enter_context(CrispOCR(model, mmproj, load=load))
        about = settings(options, args.prompt, ocr.model.metadata)
        facts = document_facts(Document(source="", model=ocr.model.file, settings=about))
        found: dict[str, Record] = {}
        versions = {task.key: file_version(task.image) for task in tasks}
        records = None
        if path is not None:
            file = RecordFile(path, args.resume, args.retry_failed, versions)
            records = stack.enter_context(file)
            records.check_same(facts)
            for key in sorted(records.changed):
                tell_change(key)
            found = {r["source"]: r for r in records.found if records.holds(r["source"])}
        left = [task for task in tasks if task.key not in found]
        for prompt, group in groupby(left, key=lambda task: task.prompt):
            same = list(group)
            documents = ocr.recognize_many([task.image for task in same], prompt, options=options)
            for task, document in zip(same, documents, strict=True):
                record = {**_record(task, document), **facts, "version": versions[task.key]}
                found[task.key] = record
                if records is not None:
                    records.append(record)
                complain(f"{len(found)} of {len(tasks)}: {task.image}")
    return [found[task.key] for task in tasks]


def _record(task: Task, document: Document) -> dict[str, Any]:
    error = document.error or next((page.error for page in document.failed_pages), None)
    if error is not None:
        complain(f"{task.image}: {error}")
    return {
        "source": task.key,
        "number": None,
        "text": document.text,
        "confidence": document.confidence,
        "error": describe_error(error),
    }
