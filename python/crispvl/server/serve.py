"""Runs the application over HTTP until it is asked to end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import h11
import uvicorn
from sse_starlette.sse import AppStatus
from uvicorn.protocols.http.h11_impl import H11Protocol

from crispvl.options import LoadOptions
from crispvl.server.app import create_app
from crispvl.server.errors import ApiError
from crispvl.server.options import ServerOptions
from crispvl.server.pool import ModelSource
from crispvl.server.state import ServerState

HEAD_LIMIT_S = 20.0
"""For the head of a request to arrive, from the connection on or from the last answer."""

STALL_S = 30.0
"""After which a caller is looked at that does not take its answer."""

SLOWEST_READ_BYTES = 32 << 10
"""To be taken within that time; else the connection is cut."""

MOST_FILES = 65536

_log = logging.getLogger("crispvl.server")


def serve(options: ServerOptions, sources: Mapping[str, ModelSource], load: LoadOptions) -> None:
    """Serves until SIGINT or SIGTERM; then finishes what runs, within the options' limit.

    Raises:
        CrispVLError: The default model cannot be loaded.
        OSError: The port is taken, or the default model cannot be read.
        ValueError: An option is out of range, or a key file cannot be read.
    """
    app = create_app(options, sources, load)
    state: ServerState = app.state.server
    _raise_file_limit()
    AppStatus.enable_automatic_graceful_drain = False  # streams end when their answers do
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        backlog=4096,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(options.shutdown_time_limit) + 5,
    )
    listener = _listen(options)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}"
    if not options.keys() and not _is_loopback(host):
        _log.warning(
            "crispvl: other machines can reach this server, and it asks for no key; start it with "
            "--api-key-file FILE to require one"
        )
    _log.warning("crispvl: loading %s", state.models.default)
    with listener, suppress(KeyboardInterrupt):
        _Server(config, state, address).run(sockets=[listener])
    if state.failure is not None:
        raise state.failure


class _Server(uvicorn.Server):
    """Tells the application to end: new requests are refused, running ones have some time."""

    def __init__(self, config: uvicorn.Config, state: ServerState, address: str) -> None:
        super().__init__(config)
        self._state = state
        self._address = address
        self._is_announced = False
        self._n_interrupts = 0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A closed terminal is heeded too, except where that is ignored, as by ``nohup``."""
        with super().capture_signals():
            hangup = getattr(signal, "SIGHUP", None)  # None on Windows
            in_main = threading.current_thread() is threading.main_thread()
            if hangup is None or not in_main or signal.getsignal(hangup) == signal.SIG_IGN:
                yield
                return
            before = signal.signal(hangup, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(hangup, before)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ends in an orderly way, and therefore with exit code 0.

        At the second Ctrl-C what runs is told to stop at once; the third waits for nobody.
        """
        if self.should_exit and sig == signal.SIGINT:
            self._n_interrupts += 1
            self.force_exit = self._n_interrupts > 1
            asyncio.get_running_loop().call_soon_threadsafe(self._state.end)
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Ends where the default model cannot be loaded, which the caller is told."""
        if self._state.is_ready and not self._is_announced:
            self._is_announced = True
            names = ", ".join(self._state.models.names)
            _log.warning("crispvl: serving %s at %s", names, self._address)
        return await super().on_tick(counter) or self._state.failure is not None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = self._state
        state.is_draining = True
        limit = state.options.shutdown_time_limit
        timer = asyncio.get_running_loop().call_later(limit, state.end)
        n_running = sum(model.admission.n_running for model in state.models.loaded)
        if state.failure is None:
            _log.warning("crispvl: ending; %d running requests have %g s left", n_running, limit)
        await super().shutdown(sockets)
        timer.cancel()


class _Protocol(H11Protocol):
    """HTTP with limits of time, whose own errors are JSON as well.

    One is for the head of a request, also of the first on a connection. Another is for callers that
    do not take their answers, which would fill the server's memory.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP, of which no endpoint hears."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer is on its way
            self.transport.close()
            return
        body = ApiError(
            400, "[request] expected HTTP/1.1; found something else; correct it", "bad_request"
        ).json()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        events = (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body.encode()),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event))
        self.transport.close()
        if self.cycle is not None:  # it has lost its client, to whom nothing more is to be said
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _unsupported_upgrade_warning(self) -> None:
        """Answers a request to upgrade as if it were none (RFC 9110, 7.8); that is no fault."""

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_stall(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_stall_timer()

    def _watch_stall(self, n_bytes: int) -> None:
        self._cancel_stall_timer()
        self._stall_timer = self.loop.call_later(STALL_S, self._check_stall, n_bytes)

    def _check_stall(self, n_before: int) -> None:
        n_bytes = self.transport.get_write_buffer_size()
        if n_bytes > n_before - SLOWEST_READ_BYTES:
            self.transport.abort()
        else:
            self._watch_stall(n_bytes)

    def _cancel_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        self._cancel_stall_timer()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        cycle = self.cycle
        super().handle_events()
        if self.cycle is not cycle:
            self._cancel_timer()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_LIMIT_S, self.transport.close)

    def _cancel_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._cancel_timer()
            self._expect_head()


def _listen(options: ServerOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        return socket.create_server((options.host, options.port), family=family, backlog=4096)
    except OSError as error:
        raise OSError(
            f"[serve] expected a free port at {options.host}:{options.port}; found "
            f"{error.strerror}; give another --port or --host"
        ) from error


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host == "::1"


def _raise_file_limit() -> None:
    """Lets as many connections be open as the system allows this process."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
