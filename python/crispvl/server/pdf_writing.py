"""Searchable PDFs written in processes of their own (`crispvl.server.pdf_writer`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import pickle
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import anyio

from crispvl.results.document import Document
from crispvl.server.errors import REQUEST_ID, ApiError
from crispvl.server.pdf_writer import Task
from crispvl.server.uploads import Upload

TIME_LIMIT_S = 120.0

_log = logging.getLogger("crispvl.server")


class PdfWriters:
    """Writes searchable PDFs, each in a process that ends with it.

    Args:
        n_processes: Most of them at once; further ones wait.
        max_pixels: Of a page.
    """

    def __init__(self, n_processes: int, max_pixels: int) -> None:
        self._free = asyncio.Semaphore(n_processes)
        self._max_pixels = max_pixels

    async def write(self, document: Document, upload: Upload) -> bytes:
        """Returns a document as a searchable PDF.

        Raises:
            ApiError: None can be made of it, or not by this installation.
        """
        async with self._free:
            with tempfile.TemporaryDirectory(prefix="crispvl-", ignore_cleanup_errors=True) as own:
                path = str(Path(own) / "searchable.pdf")
                task = Task(document, upload.data, upload.fields.password, path)
                return await self._run(pickle.dumps(task), own)

    async def _run(self, task: bytes, folder: str) -> bytes:
        command = sys.executable, "-m", "crispvl.server.pdf_writer", str(self._max_pixels)
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, start_new_session=True,
            env={**os.environ, "TMPDIR": folder, "TEMP": folder, "TMP": folder},
        )  # fmt: skip
        try:
            with anyio.fail_after(TIME_LIMIT_S):
                output, _ = await process.communicate(task)
            head, _, pdf = output.partition(b"\n")
            failure = json.loads(head)
        except (ValueError, OSError, TimeoutError) as error:
            failure = {"error": type(error).__name__, "message": "the process ended early"}
        finally:
            await _end(process)
        if not failure:
            return pdf
        if failure["error"] == "ImportError":
            raise ApiError(
                422,
                "[format] expected a format that this server writes; found its packages missing; "
                "its administrator can install crispvl[ocrmypdf]",
                "format_missing",
                "format",
            )
        _log.warning("request %s: no PDF: %s", REQUEST_ID.get(), failure["message"])
        raise ApiError(
            422,
            "[format] expected a document that a searchable PDF can be made of; found "
            "another; ask for another format",
            "pdf_failed",
            "format",
        )


async def _end(process: Process) -> None:
    """Ends a process and what it has started, if it has not ended yet."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        await process.wait()
