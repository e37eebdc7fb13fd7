"""Paths as clients write them: whole addresses, with a slash at the end, or without ``/v1``."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_SITE = re.compile(r"\Ahttps?://[^/]+", re.IGNORECASE)
"""Which a request may name before the path (RFC 9112, 3.2.2); its header ``Host`` says the same."""

_OF_V1 = frozenset(("chat", "completions", "models", "ocr"))


class PathNormaliser:
    """ASGI middleware: turns every way to write a path into the one that is routed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = _SITE.sub("", scope["path"], count=1).rstrip("/") or "/"
            if path[1:].partition("/")[0] in _OF_V1:
                path = f"/v1{path}"
            scope["path"] = path
            scope["raw_path"] = path.encode("utf-8", "surrogateescape")
        await self._app(scope, receive, send)
