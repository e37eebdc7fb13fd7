"""Clients that speak HTTP in unusual ways, or hardly."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from .conftest import RunningServer, asking

HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)
CLOSE = b"Connection: close\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def body(receipt: bytes) -> bytes:
    return json.dumps(asking(receipt, max_tokens=2)).encode()


def connected(server: RunningServer) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=60)


def read_to_end(connection: socket.socket) -> bytes:
    found = b""
    try:
        while data := connection.recv(1 << 16):
            found += data
    except ConnectionError:  # where bytes are left unread
        pass
    return found


def talk(server: RunningServer, data: bytes) -> bytes:
    """Returns all that the server answers until it closes the connection."""
    with connected(server) as connection:
        connection.sendall(data)
        return read_to_end(connection)


def length(n: int) -> bytes:
    return b"Content-Length: %d\r\n" % n


def test_a_body_may_come_byte_by_byte(server: RunningServer, body: bytes) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    answer = talk(server, HEAD + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_client_may_ask_before_it_sends_a_body(server: RunningServer, body: bytes) -> None:
    with connected(server) as connection:
        head = HEAD + CLOSE + b"Expect: 100-continue\r\n"
        connection.sendall(head + length(len(body)) + b"\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert read_to_end(connection).startswith(b"HTTP/1.1 200 ")
    refused = talk(server, head + length(1 << 40) + b"\r\n")
    assert refused.startswith(b"HTTP/1.1 413 ")


def test_requests_may_be_sent_before_the_first_is_answered(
    server: RunningServer, body: bytes
) -> None:
    first = HEAD + length(len(body)) + b"\r\n" + body
    answer = talk(server, first + (HEALTH + b"\r\n") * 50 + HEALTH + CLOSE + b"\r\n")
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 52
    assert answer.index(b"chat.completion") < answer.index(b'"status":"ok"')


def test_what_follows_a_body_is_no_part_of_it(server: RunningServer, body: bytes) -> None:
    answer = talk(server, HEAD + length(len(body)) + b"\r\n" + body + b"and more\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 400 ") == 1


@pytest.mark.parametrize(
    "lengths",
    [
        length(2) + length(3),
        length(2) + b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: -2\r\n",
        b"Content-Length: 0x2\r\n",
        b"Content-Length: \r\n",
        b"Transfer-Encoding: chunked\r\nX: y\r\n\r\nno number",
    ],
)
def test_a_body_of_doubtful_length_is_a_400(server: RunningServer, lengths: bytes) -> None:
    answer = talk(server, HEAD + lengths + b"\r\n{}\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"bad_request" in answer


def test_a_client_of_http_1_0_need_not_name_the_server(server: RunningServer, body: bytes) -> None:
    assert talk(server, b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    head = b"POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json\r\n"
    answer = talk(server, head + length(len(body)) + b"\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding: chunked" not in answer.lower()


def test_hundreds_of_idle_connections_keep_nobody_out(server: RunningServer) -> None:
    idle = [connected(server) for _ in range(300)]
    try:
        for connection in idle:
            connection.sendall(HEALTH + b"\r\n")
        for connection in idle:
            assert connection.recv(1 << 12).startswith(b"HTTP/1.1 200 ")
        assert httpx.get(f"{server.url}/health", timeout=60).status_code == 200
    finally:
        for connection in idle:
            connection.close()


def test_nothing_of_this_is_an_error_of_the_server(server: RunningServer) -> None:
    assert httpx.get(f"{server.url}/health", timeout=60).status_code == 200
    assert "Traceback" not in "".join(server.lines)
