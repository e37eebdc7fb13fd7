"""Documents from the web, fetched only when asked for, and never from a private network.

The address that is checked is the one connected to, for redirects as well, so that a name which
resolves differently the second time gains nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
import urllib.error
import urllib.request
from typing import Any

from crispvl._version import __version__
from crispvl.errors import DocumentError

MAX_BYTES = 100 << 20
MAX_SECONDS = 60.0
_BLOCK_BYTES = 1 << 16


def is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def fetch(url: str) -> bytes:
    """Returns what lies at an address.

    Raises:
        DocumentError: The address is private or out of reach, or the answer is over `MAX_BYTES` or
            takes over `MAX_SECONDS`.
    """
    deadline = time.monotonic() + MAX_SECONDS
    # No proxy handler: a proxy would connect for us, to addresses that nobody checks.
    opener = urllib.request.OpenerDirector()
    for handler in (
        _HttpHandler(),
        _HttpsHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(url, headers={"User-Agent": f"crispvl/{__version__}"})
    try:
        with opener.open(request, timeout=10) as response:
            return _read(response, url, deadline)
    except (urllib.error.URLError, OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, DocumentError):
            raise
        reason = getattr(error, "reason", error)
        if isinstance(reason, DocumentError):
            raise reason from None
        raise DocumentError(
            f"[{url}] a document is expected; the server gave none ({error}); check the address"
        ) from error


def _read(response: Any, url: str, deadline: float) -> bytes:
    blocks: list[bytes] = []
    n_bytes = 0
    while block := response.read1(_BLOCK_BYTES):
        blocks.append(block)
        n_bytes += len(block)
        if n_bytes > MAX_BYTES:
            raise DocumentError(
                f"[{url}] at most {MAX_BYTES >> 20} MiB are expected; found more; download the "
                "file yourself"
            )
        if time.monotonic() > deadline:
            raise DocumentError(
                f"[{url}] an answer within {MAX_SECONDS:.0f} s is expected; it takes longer; "
                "download the file yourself"
            )
    return b"".join(blocks)


def _connect(host: str, port: int, timeout: Any) -> socket.socket:
    """Connects to the first address of a host, if all of its addresses are public."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, address in found:
        if not _is_public(str(address[0])):
            raise DocumentError(
                f"[{host}] a public address is expected; found {address[0]}; download the file "
                "yourself"
            )
    return socket.create_connection((str(found[0][4][0]), port), timeout)


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_global and not ip.is_multicast


class _HttpConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = _connect(self.host, self.port, self.timeout)


class _HttpsConnection(http.client.HTTPSConnection):
    def __init__(self, host: str, *, context: ssl.SSLContext, **arguments: Any) -> None:
        super().__init__(host, context=context, **arguments)
        self._tls = context

    def connect(self) -> None:
        plain = _connect(self.host, self.port, self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_HttpConnection, request)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._tls = context

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_HttpsConnection, request, context=self._tls)  # type: ignore[arg-type]
