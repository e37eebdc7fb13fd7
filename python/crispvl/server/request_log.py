"""A line in the log, a number and counts for every request; nothing of what it says."""

from __future__ import annotations

import logging
import secrets
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crispvl.server.errors import REQUEST_ID
from crispvl.server.metrics import Metrics

_log = logging.getLogger("crispvl.server")


class RequestLog:
    """ASGI middleware: counts and logs requests by the route they matched, and those left early."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        number = secrets.token_hex(8)
        REQUEST_ID.set(number)
        status = 0
        is_whole = False

        async def watch(message: Message) -> None:
            nonlocal status, is_whole
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = number
                headers["x-content-type-options"] = "nosniff"
            await send(message)
            is_whole = message["type"] == "http.response.body" and not message.get("more_body")

        try:
            await self._app(scope, receive, watch)
        finally:
            seconds = time.monotonic() - started
            # Not the path as it came: a stranger would make a series of each.
            path = getattr(scope.get("route"), "path", "other")
            if is_whole:
                self._metrics.count_request(path, status, seconds)
            else:
                self._metrics.count_cancelled()
            outcome = str(status) if is_whole else "left"
            _log.info("%s %s %s %s %.3f s", number, scope["method"], path, outcome, seconds)
