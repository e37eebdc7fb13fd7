"""What runs for a request leaves nothing behind."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from crispvl.errors import Cancelled
from crispvl.server.worker import Worker


class Page:
    """Something that is large."""


@pytest.mark.anyio
@pytest.mark.parametrize("is_asked", [True, False], ids=["taken", "left"])
async def test_what_fails_in_a_thread_lets_go_of_its_pages_at_once(is_asked: bool) -> None:
    pages: list[weakref.ref[Page]] = []
    worker = Worker(60.0)

    def fail(page: Page) -> None:
        raise ValueError("read in vain")

    def work(cancel: Any, give: Callable[[int], None]) -> None:
        page = Page()
        pages.append(weakref.ref(page))
        give(1)
        try:
            fail(page)
        except ValueError as error:
            raise Cancelled("stopped") from error

    async def run() -> None:
        async with worker.in_thread(work) as items:
            if is_asked:
                async for _ in items:
                    pass

    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(BaseException):
            await run()
        assert pages[0]() is None
    finally:
        gc.enable()
        worker.close()
