"""``/``: the page in the browser, and what it is made of."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import Response

from crispvl import web
from crispvl.server.errors import ApiError

router = APIRouter(include_in_schema=False)

_KINDS = {
    "": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-cache",
}


def _load() -> dict[str, tuple[bytes, str, str]]:
    """Returns the files by name, each with its type and its tag for caches."""
    names = [file.name for file in files("crispvl.web").iterdir()]
    found = {name: web.asset(name) for name in names if _suffix(name) in _KINDS}
    found[""] = web.server_page().encode()
    return {
        name: (data, _KINDS[_suffix(name)], f'"{hashlib.sha256(data).hexdigest()[:16]}"')
        for name, data in found.items()
    }


def _suffix(name: str) -> str:
    return name.rpartition(".")[2]


_FILES = _load()


@router.get("/")
async def index(request: Request) -> Response:
    """Returns the page."""
    return _answer(request, "")


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """Returns a part of the page."""
    if name not in _FILES:
        raise ApiError(404, "[path] expected a page of this server; found none; see /", "not_found")
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    data, kind, tag = _FILES[name]
    headers = {**_HEADERS, "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=kind, headers=headers)
