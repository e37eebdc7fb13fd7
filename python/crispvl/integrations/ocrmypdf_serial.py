"""A plug-in for OCRmyPDF by which it works in the thread that calls it.

Its own executor starts a thread that writes its log, which an interrupt may leave waiting: the
process then never ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ocrmypdf import Executor, hookimpl


class SerialExecutor(Executor):
    """Does one task after another."""

    def _execute(
        self,
        *,
        task: Callable[..., Any],
        task_arguments: Iterable[Any],
        task_finished: Callable[[Any, Any], None],
        progress_kwargs: dict[str, Any],
        **_: Any,
    ) -> None:
        with self.pbar_class(**progress_kwargs) as bar:
            for arguments in task_arguments:
                task_finished(task(*arguments), bar)


@hookimpl
def get_executor(progressbar_class: Any) -> Executor:
    return SerialExecutor(pbar_class=progressbar_class)
