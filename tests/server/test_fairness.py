"""Nobody keeps others out: neither long documents nor callers that are slow on purpose."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest
from crispvl.server.limits import Intake
from PIL import Image
from starlette.types import Message, Receive, Scope, Send

from .conftest import EXAMPLES, RunningServer, asking, encoded

CHAT = "/v1/chat/completions"


def connected(url: str, receive_bytes: int | None = None) -> socket.socket:
    address = urlsplit(url)
    connection = socket.socket()
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.connect((address.hostname, address.port))
    return connection


def posted(path: str, body: bytes, n_bytes: int | None = None) -> bytes:
    """Returns a request as it is sent, with a length of the body that may be wrong."""
    length = len(body) if n_bytes is None else n_bytes
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode() + body


def test_documents_and_pictures_do_not_wait_for_each_other(
    serve: Callable[..., RunningServer], receipt: bytes
) -> None:
    """One place, more documents than processes that decode, and pictures between their pages."""
    server = serve("--max-running", "1")
    pages = [Image.open(EXAMPLES / "receipt.png").convert("RGB")] * 3
    document = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    with httpx.Client(base_url=server.url, timeout=100) as client, ThreadPoolExecutor(8) as pool:
        reading = [pool.submit(client.post, "/v1/ocr", files={"file": document}) for _ in range(4)]
        chats = [
            pool.submit(client.post, CHAT, json=asking(receipt, max_tokens=5)) for _ in range(4)
        ]
        assert [task.result().status_code for task in (*reading, *chats)] == [200] * 8


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_nobody_takes_holds_no_place(
    serve: Callable[..., RunningServer], receipt: bytes, stream: bool
) -> None:
    server = serve("--max-running", "1")
    body = asking(
        receipt, stream=stream, logprobs=True, top_logprobs=20, temperature=1.5, ignore_eos=True,
        max_tokens=1500,
    )  # fmt: skip
    with connected(server.url, 4096) as lazy, httpx.Client(base_url=server.url) as client:
        lazy.sendall(posted(CHAT, json.dumps(body).encode()))
        while 'running{model="crispvl-nano"} 1.0' not in client.get("/metrics").text:
            time.sleep(0.1)
        reply = client.post(CHAT, json=asking(receipt, max_tokens=1), timeout=100)
        assert reply.status_code == 200
        assert lazy.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("length", ["announced", "chunked"])
def test_bodies_that_come_slowly_keep_no_others_out(
    serve: Callable[..., RunningServer], receipt: bytes, length: str
) -> None:
    server = serve("--max-body-mb", "1", "--body-time-limit", "90", "--queue-time-limit", "60")
    begun = posted(CHAT, b"{", 1 << 20)
    if length == "chunked":
        begun = begun.replace(b"Content-Length: 1048576\r\n", b"Transfer-Encoding: chunked\r\n")
        begun = begun.replace(b"\r\n\r\n{", b"\r\n\r\n1\r\n{\r\n")
    slow = [connected(server.url) for _ in range(4)]
    for connection in slow:
        connection.sendall(begun)
    started = time.monotonic()
    reply = httpx.post(f"{server.url}{CHAT}", json=asking(receipt, max_tokens=1), timeout=80)
    assert reply.status_code == 200
    assert time.monotonic() - started < 60  # of the 90 seconds that the slow ones have
    answers = []
    for connection in slow:
        with connection:
            connection.settimeout(10)
            try:
                answers.append(connection.recv(12))
            except TimeoutError:
                answers.append(b"")
    assert b"HTTP/1.1 408" in answers


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[" + b"[]," * 300_000 + b"1]", "too_many_values"),
        (
            b'{"messages":[{"role":"user","content":"' + b"a " * 1_500_000 + b'"}]}',
            "context_length_exceeded",
        ),
    ],
    ids=["values", "text"],
)
def test_bodies_that_would_keep_the_server_busy_are_refused_at_once(
    client: httpx.Client, body: bytes, code: str
) -> None:
    response = client.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, code)


def test_more_tiles_than_the_context_holds_are_refused_before_they_are_made(
    client: httpx.Client, receipt: bytes
) -> None:
    response = client.post(
        CHAT, json=asking(receipt, max_tiles=1024, min_tiles=1024, layout="page")
    )
    assert (response.status_code, response.json()["error"]["code"]) == (
        400,
        "context_length_exceeded",
    )
    response = client.post(CHAT, json=asking(*[receipt] * 100, max_tokens=1))
    assert response.json()["error"]["code"] == "context_length_exceeded"


def test_what_a_layout_cannot_answer_is_said(client: httpx.Client, receipt: bytes) -> None:
    files = {"file": receipt}
    for data in (
        {"prompt": "What is the total?"},
        {"task": "formula"},
        {"stream": "true", "task": "formula"},
    ):
        response = client.post("/v1/ocr", files=files, data={"layout": "lines", **data})
        assert response.status_code == 400
        assert response.json()["error"]["param"] == "layout"
    response = client.post(CHAT, json=asking(receipt, layout="lines", task="formula"))
    assert response.status_code == 400


def test_a_form_that_leads_nowhere_is_said(client: httpx.Client, receipt: bytes) -> None:
    pytest.importorskip("llguidance", reason="the extra extract is not installed")
    schema = {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    response = client.post(CHAT, json=asking(receipt, response_format=form))
    assert response.status_code == 422
    form["json_schema"]["schema"] = {"enum": ["x" * 300_000]}  # type: ignore[index]
    response = client.post(CHAT, json=asking(receipt, response_format=form))
    assert (response.status_code, response.json()["error"]["param"]) == (422, "response_format")
    assert "characters" in response.json()["error"]["message"]
    choices = ["x" * 10_000 + str(i) for i in range(100)]
    response = client.post(CHAT, json=asking(receipt, guided_choice=choices))
    assert response.status_code == 400


def test_a_conversation_without_a_question_is_no_failure(client: httpx.Client) -> None:
    body = {"messages": [{"role": "system", "content": "x"}], "max_tokens": 2}
    assert client.post(CHAT, json=body).status_code in (200, 400)


@pytest.mark.anyio
async def test_small_requests_do_not_wait_for_large_documents_that_are_being_read() -> None:
    is_read = asyncio.Event()
    answered: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/ocr":
            await is_read.wait()
        answered.append(scope["path"])

    intake = Intake(app, max_bytes=6400, max_held_bytes=6400, time_limit=30, wait_limit=30)

    async def ask(path: str, n_bytes: int) -> None:
        messages: list[Message] = [{"type": "http.request", "body": bytes(n_bytes)}]

        async def receive() -> Message:
            return messages.pop() if messages else await asyncio.Event().wait()

        length = (b"content-length", str(n_bytes).encode())
        await intake({"type": "http", "path": path, "headers": [length]}, receive, never_sends)

    documents = [asyncio.ensure_future(ask("/ocr", 6400)) for _ in range(3)]
    await asyncio.wait_for(ask("/tokenize", 100), 5)
    assert answered == ["/tokenize"]
    is_read.set()
    await asyncio.gather(*documents)
    assert answered.count("/ocr") == 3


async def never_sends(message: Message) -> None:
    raise AssertionError(message)
