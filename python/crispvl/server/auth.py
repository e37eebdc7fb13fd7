"""Who may come in: keys, and where there are none, only callers that no web page can imitate.

Both checks look at the headers only, before any of the body is read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from crispvl.server.errors import ApiError

OPEN_PATHS = frozenset(("/health", "/health/live", "/health/ready"))
"""What load balancers ask, which have no key."""

_PORTS = {"http": 80, "https": 443}

_SIGN_IN = """<!doctype html><html lang="en"><meta charset="utf-8"><title>crispvl</title>
<h1>This server asks for a key</h1>
<p>Reload the page, leave the name empty and give the key as the password.</p></html>"""


class KeyCheck:
    """ASGI middleware: answers 401 to whoever sends no valid key.

    A key is a bearer token, as OpenAI's clients send it, or the password of HTTP's basic
    authentication, which browsers ask for.

    Args:
        app: What is behind it.
        keys: Those that are valid; without any, everybody may come in.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._digests = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and self._digests
            and scope["path"].rstrip("/") not in OPEN_PATHS
        ):
            headers = Headers(scope=scope)
            if not self._is_valid(headers.get("authorization", "")):
                await _unauthorised(headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_valid(self, authorization: str) -> bool:
        kind, _, credentials = authorization.partition(" ")
        key = credentials.strip()
        if kind.lower() == "basic":
            key = _password(key)
        elif kind.lower() != "bearer":
            return False
        given = _digest(key)
        # All are compared, so that the time does not tell which one was nearly right.
        return any([hmac.compare_digest(given, digest) for digest in self._digests])  # noqa: C419


class CallerCheck:
    """ASGI middleware: refuses requests that a web page of somebody else makes a browser send.

    A request whose ``Origin`` is another site is refused unless it is allowed. A server without a
    key is called by the names of this machine only, since a site may let its own name resolve to
    it (DNS rebinding).

    Args:
        app: What is behind it.
        has_keys: Whether a key is asked for.
        hosts: Further names by which a server without keys may be called.
        origins: Other sites that may use it.
    """

    def __init__(
        self, app: ASGIApp, has_keys: bool, hosts: Sequence[str], origins: Sequence[str]
    ) -> None:
        self._app = app
        self._has_keys = has_keys
        self._hosts = {"localhost", *map(_plain_name, hosts)}
        self._origins = set(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            refusal = self._refusal(headers.get("host"), headers.get("origin"))
            if refusal is not None:
                await refusal.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, host: str | None, origin: str | None) -> ApiError | None:
        if host is None:  # as HTTP/1.0 allows; browsers always name a host
            host = "localhost"
        if not self._has_keys and not self._is_own_name(host):
            return ApiError(
                403,
                "[host] expected one of this machine's names, as the server has no key; found "
                "another; start it with --allow-host for this name, or with a key",
                "host_not_allowed",
            )
        if origin is not None and origin not in self._origins and not _is_own_page(origin, host):
            return ApiError(
                403,
                "[origin] expected a page of this server; found one of another site; start the "
                "server with --allow-origin for it",
                "origin_not_allowed",
            )
        return None

    def _is_own_name(self, host: str) -> bool:
        name = _plain_name(_hostname(host) or "")
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True  # an address is no name that could resolve elsewhere


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _plain_name(host: str) -> str:
    """Returns a name as it is compared; a dot at the end says that it is whole (RFC 1034, 3.1)."""
    return host.lower().removesuffix(".")


def _is_own_page(origin: str, host: str) -> bool:
    """Whether a page's site is this server; a port that is usual for the scheme may be left out."""
    try:
        page, server = urlsplit(origin), urlsplit(f"//{host}")
        usual = _PORTS[page.scheme]
        return page.hostname is not None and (page.hostname, page.port or usual) == (
            server.hostname,
            server.port or usual,
        )
    except (ValueError, KeyError):
        return False


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _password(credentials: str) -> str:
    try:
        decoded = base64.b64decode(credentials, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[2]


def _unauthorised(headers: Headers) -> Response:
    error = ApiError(
        401,
        "[authorization] expected a valid key; found none, or another; send Authorization: "
        "Bearer KEY",
        "invalid_api_key",
    )
    response: Response = error.response()
    challenge = "Bearer"
    if "text/html" in headers.get("accept", ""):
        response, challenge = HTMLResponse(_SIGN_IN, 401), 'Basic realm="crispvl", charset="UTF-8"'
    response.headers["www-authenticate"] = challenge
    return response
