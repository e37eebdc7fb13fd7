"""Documents from the web, fetched only when asked for, and never from a private network.

The address that is checked is the one connected to, for redirects as well, so that a name which
resolves differently the second time gains nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

from crispvl._version import __version__
from crispvl.errors import DocumentError

MAX_BYTES = 100 << 20
MAX_SECONDS = 60.0
_BLOCK_BYTES = 1 << 16


def is_url(text: str) -> bool:
    return text.lstrip()[:8].lower().startswith(("http://", "https://"))


def fetch(
    url: str, check: Callable[[str], None] | None = None, max_bytes: int | None = None
) -> bytes:
    """Returns the document at an address.

    Args:
        url: Of http or https.
        check: Called with the address, and with each that it redirects to; raises where one must
            not be fetched.
        max_bytes: Of the answer; None means ``MAX_BYTES``.

    Raises:
        DocumentError: The address is private or out of reach, or the answer is over ``max_bytes``
            or takes over `MAX_SECONDS`.
    """
    url = url.strip()
    if check is not None:
        check(url)
    with _TimeLimit(url) as limit:
        return _fetch(url, limit, check, MAX_BYTES if max_bytes is None else max_bytes)


class _TimeLimit:
    """Cuts the connections of a fetch when its time is up, whatever the server is at.

    A socket's own timeout bounds one wait, not the sum of many short ones.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._passed = False
        self._timer = threading.Timer(MAX_SECONDS, self._cut)
        self._timer.daemon = True

    def watch(self, connection: socket.socket) -> socket.socket:
        """Returns a connection that will be cut."""
        with self._lock:
            self._sockets.append(connection)
        if self._passed:
            self._cut()
        return connection

    def _cut(self) -> None:
        with self._lock:
            self._passed = True
            for connection in self._sockets:
                with suppress(OSError):  # it is closed
                    # Not the method of a TLS socket, whose state its own thread is using.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def __enter__(self) -> _TimeLimit:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._passed and (error is None or isinstance(error, DocumentError)):
            raise DocumentError(
                f"[{self._url}] expected an answer within {MAX_SECONDS:.0f} s; found it "
                "unfinished; download the file yourself"
            ) from error


def _fetch(
    url: str, limit: _TimeLimit, check: Callable[[str], None] | None, max_bytes: int
) -> bytes:
    # No proxy handler: a proxy would connect for us, to addresses that nobody checks.
    opener = urllib.request.OpenerDirector()
    for handler in (
        _HttpHandler(limit),
        _HttpsHandler(limit, ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        _RedirectHandler(check),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(url, headers={"User-Agent": f"crispvl/{__version__}"})
    try:
        with opener.open(request, timeout=10) as response:
            return _read(response, url, max_bytes)
    except (
        urllib.error.URLError,
        OSError,
        http.client.HTTPException,
        ValueError,
        OverflowError,  # a port beyond all bounds
    ) as error:
        if isinstance(error, DocumentError):
            raise
        reason = getattr(error, "reason", error)
        if isinstance(reason, DocumentError):
            raise reason from None
        raise DocumentError(
            f"[{url}] expected a document; found none ({error}); check the address"
        ) from error


def _read(response: Any, url: str, max_bytes: int) -> bytes:
    blocks: list[bytes] = []
    n_bytes = 0
    while block := response.read1(_BLOCK_BYTES):
        blocks.append(block)
        n_bytes += len(block)
        if n_bytes > max_bytes:
            raise DocumentError(
                f"[{url}] expected at most {max_bytes >> 20} MiB; found more; download the file "
                "yourself"
            )
    return b"".join(blocks)


def _connect(host: str, port: int, timeout: Any) -> socket.socket:
    """Connects to the first address of a host, if all of its addresses are public."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, address in found:
        if not _is_public(str(address[0])):
            raise DocumentError(
                f"[{host}] expected a public address; found {address[0]}; download the file "
                "yourself"
            )
    return socket.create_connection((str(found[0][4][0]), port), timeout)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291, all that is assigned so far


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        carried = _carried_ipv4(ip)
        if carried is None:
            return ip.is_global and ip in _GLOBAL_UNICAST
        ip = carried
    return ip.is_global and not ip.is_multicast


def _carried_ipv4(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Returns the IPv4 address that this machine or a gateway would connect to instead."""
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour


class _HttpConnection(http.client.HTTPConnection):
    def __init__(self, host: str, *, limit: _TimeLimit, **arguments: Any) -> None:
        super().__init__(host, **arguments)
        self._limit = limit

    def connect(self) -> None:
        self.sock = self._limit.watch(_connect(self.host, self.port, self.timeout))


class _HttpsConnection(http.client.HTTPSConnection):
    def __init__(
        self, host: str, *, limit: _TimeLimit, context: ssl.SSLContext, **arguments: Any
    ) -> None:
        super().__init__(host, context=context, **arguments)
        self._limit = limit
        self._tls = context

    def connect(self) -> None:
        plain = _connect(self.host, self.port, self.timeout)
        # The handshake waits for the server too, so it comes after `watch`.
        self.sock = tls = self._tls.wrap_socket(
            plain, server_hostname=self.host, do_handshake_on_connect=False
        )
        self._limit.watch(tls)
        tls.do_handshake()


class _RedirectHandler(urllib.request.HTTPRedirectHandler):
    """Has every further address checked as the first was."""

    def __init__(self, check: Callable[[str], None] | None) -> None:
        self._check = check

    def redirect_request(
        self, request: Any, response: Any, code: int, reason: str, headers: Any, url: str
    ) -> urllib.request.Request | None:
        if self._check is not None:
            self._check(url)
        return super().redirect_request(request, response, code, reason, headers, url)


class _HttpHandler(urllib.request.HTTPHandler):
    def __init__(self, limit: _TimeLimit) -> None:
        super().__init__()
        self._limit = limit

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_HttpConnection, request, limit=self._limit)  # type: ignore[arg-type]


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, limit: _TimeLimit, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._limit = limit
        self._tls = context

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(
            _HttpsConnection,  # type: ignore[arg-type]
            request,
            limit=self._limit,
            context=self._tls,
        )
