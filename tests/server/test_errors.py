"""What is wrong with a request is said with the right status, and ends nothing."""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from crispvl.server.wire.chat import ChatRequest
from crispvl.server.wire.completions import CompletionRequest, DetokenizeRequest
from PIL import Image
from pydantic import BaseModel, ValidationError

from .conftest import RunningServer, asking, data_address, encoded
from .test_safety import talk

PATH = "/v1/chat/completions"


def check(response: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert code is None or error["code"] == code
    assert isinstance(error, dict)
    return error


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": "many"},
        {"max_tokens": 0},
        {"temperature": -1},
        {"temperature": float("1e999")},
        {"n": 0},
        {"n": 1.5},
        {"messages": []},
        {"messages": "hello"},
        {"messages": [{"role": "king", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "music"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"stop": [""]},
        {"top_logprobs": 21},
        {"response_format": {"type": "xml"}},
        {"min_tiles": 5, "max_tiles": 2},
        {"pages": "last"},
    ],
)
def test_a_field_of_another_type_or_range_is_named(
    client: httpx.Client, receipt: bytes, fields: dict[str, Any]
) -> None:
    body = json.dumps({**asking(receipt, max_tokens=1), **fields})
    response = client.post(PATH, content=body, headers={"content-type": "application/json"})
    error = check(response, 400)
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"messages": [}',
        b"\xff\xfe{}",
        b'{"messages": "\xff"}',
        b"[" * 100_000,
        b'{"messages":' * 50_000,
        b"null",
        b"[]",
    ],
)
def test_a_body_that_is_no_json_is_refused(client: httpx.Client, body: bytes) -> None:
    response = client.post(PATH, content=body, headers={"content-type": "application/json"})
    check(response, 400)


@pytest.mark.parametrize(
    ("stop", "where", "found"),
    [(["a"] * 20, "[stop]", "List"), ([""], "[stop.0]", "String"), (5, "[stop]", "Input")],
)
def test_a_field_of_several_types_is_told_by_what_it_came_nearest_to(
    client: httpx.Client, receipt: bytes, stop: object, where: str, found: str
) -> None:
    error = check(client.post(PATH, json=asking(receipt, stop=stop)), 400)
    assert error["message"].startswith(f"{where} expected ")
    assert f": {found}" in error["message"]


@pytest.mark.parametrize(
    ("part", "where"),
    [
        ({"type": "image_url", "image_url": None}, "image_url"),
        ({"type": "image_url", "image_url": {"url": 5}}, "image_url.url"),
        ({"type": "image_url", "image_url": {}}, "image_url.url"),
        ({"type": "file", "file": {"file_id": "x"}}, "file.file_data"),
        ({"type": "text"}, "text"),
    ],
)
def test_a_field_of_a_part_is_named_as_it_was_sent(
    client: httpx.Client, part: object, where: str
) -> None:
    error = check(client.post(PATH, json=asking(part)), 400)
    assert error["param"] == f"messages.0.content.0.{where}"
    assert error["message"].startswith(f"[{error['param']}] expected ")


MANY = 1000


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (CompletionRequest, {"prompt": [None] * MANY}),
        (CompletionRequest, {"prompt": [[None] * MANY]}),
        (CompletionRequest, {"prompt": ["a"] * MANY}),
        (DetokenizeRequest, {"tokens": ["a"] * MANY}),
        (ChatRequest, {"messages": [None] * MANY}),
        (ChatRequest, {"messages": [{"role": "user", "content": [None] * MANY}]}),
        (ChatRequest, {"messages": [{"role": "user", "content": [{"type": "text"}] * MANY}]}),
    ],
    ids=["prompts", "tokens", "texts", "detokenize", "messages", "parts", "fields"],
)
def test_a_list_that_is_wrong_throughout_is_looked_at_as_far_as_its_first_mistake(
    model: type[BaseModel], body: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    assert caught.value.error_count() < 10  # a field of several types has some for each of them


def test_a_packed_body_is_a_415(client: httpx.Client) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    check(client.post(PATH, content=gzip.compress(b"{}"), headers=headers), 415)


def test_a_byte_order_mark_before_json_is_passed_over(client: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    body = codecs.BOM_UTF8 + b'{"prompt": "a"}'
    assert client.post("/tokenize", content=body, headers=headers).status_code == 200
    check(client.post("/tokenize", content=codecs.BOM_UTF8 + body, headers=headers), 400)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_must_say_that_it_is_json(client: httpx.Client, kind: str | None) -> None:
    headers = {"content-type": kind} if kind else {}
    check(client.post(PATH, content=b"{}", headers=headers), 415)


@pytest.mark.parametrize(
    "address",
    [
        "data:image/png;base64,!!!!",
        "data:image/png;base64,",
        "data:image/png",
        data_address(b"no picture"),
        data_address(b"\x89PNG\r\n\x1a\n" + bytes(100)),
        data_address(b"%PDF-1.7\nnothing"),
        "http://127.0.0.1/x.png",
        "https://example.org/x.png",
        "ftp://example.org/x.png",
        "file:///etc/passwd",
        "file://[x",
        "https://[x",
        "javascript:alert(1)",
        "",
    ],
)
def test_a_picture_that_cannot_be_had_is_a_400(client: httpx.Client, address: str) -> None:
    part = {"type": "image_url", "image_url": {"url": address}}
    error = check(client.post(PATH, json=asking(part)), 400)
    assert "passwd" not in error["message"]
    assert "0x" not in error["message"]
    assert client.get("/health").status_code == 200


def test_a_cut_picture_is_a_400(client: httpx.Client, receipt: bytes) -> None:
    check(client.post(PATH, json=asking(receipt[: len(receipt) // 2])), 400, "invalid_image")


def test_too_many_pixels_are_told_by_the_bound_in_force(
    serve: Callable[..., RunningServer],
) -> None:
    server = serve("--max-pixels", "10000")
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for kind, mode in (("PNG", "L"), ("TIFF", "I;16")):  # Pillow's and our own check
            picture = encoded(Image.new(mode, (200, 60)), kind)
            error = check(client.post(PATH, json=asking(picture)), 400, "invalid_image")
            assert error["message"] == (
                "[image] expected at most 10000 pixels; found more; scale the image down"
            )


def test_a_model_that_is_not_here_is_a_404(client: httpx.Client, receipt: bytes) -> None:
    check(client.post(PATH, json=asking(receipt, model="gpt-9")), 404, "model_not_found")
    check(client.get("/v1/models/gpt-9"), 404, "model_not_found")


def test_a_path_that_is_not_here_is_a_404(client: httpx.Client) -> None:
    assert check(client.get("/v1/nothing"), 404)["message"].startswith("[path] expected ")
    check(client.get(PATH), 405)


def test_a_prompt_beyond_the_context_says_so(client: httpx.Client) -> None:
    body = {"messages": [{"role": "user", "content": "word " * 5000}]}
    check(client.post(PATH, json=body), 400, "context_length_exceeded")


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/static/page.css", "/nothing"])
def test_head_is_answered_as_get_without_the_body(client: httpx.Client, path: str) -> None:
    head, whole = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize(
    "line", [b"CONNECT evil.example:443", b"PRI *", b"OPTIONS *", b"GET http://"]
)
def test_a_target_that_is_no_path_is_an_error_of_its_sender(
    server: RunningServer, line: bytes
) -> None:
    answer = talk(server.url, line + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 40")


@pytest.mark.parametrize("header", ["Content-Encoding: gzip", "Origin: http://evil.example"])
def test_garbage_behind_an_early_answer_ends_the_connection_alone(
    server: RunningServer, header: str
) -> None:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n{header}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    answer = talk(server.url, head.encode(), b"no chunk\r\n", pause_s=0.5)
    assert answer.startswith(b"HTTP/1.1 4")
    assert answer.count(b"HTTP/1.1") == 1
    assert httpx.get(f"{server.url}/health").status_code == 200
    assert not any("Traceback" in line or "Fatal error" in line for line in server.lines)


def test_a_target_may_name_the_server(server: RunningServer) -> None:
    for path, status in ((b"/version", b"200"), (b"", b"200"), (b"/nothing", b"404")):
        line = b"GET http://localhost" + path + b" HTTP/1.1\r\n"
        answer = talk(server.url, line + b"Host: localhost\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    "head", [b"garbage", b"GET / HTTP/1.1", b"\x16\x03\x01\x02", b"GET /\xff HTTP/1.1"]
)
def test_what_is_no_http_is_told_so_in_json(server: RunningServer, head: bytes) -> None:
    answer = talk(server.url, head + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "bad_request"


def test_a_request_to_upgrade_is_answered_as_any_other(server: RunningServer) -> None:
    head = "GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\n"
    upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n"
    answer = talk(server.url, (head + upgrade).encode())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert not any("pip install" in line or "WebSocket" in line for line in server.lines)


def test_a_body_of_two_lengths_is_refused_and_nothing_behind_it_is_read(
    server: RunningServer,
) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    lengths = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    hidden = "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = talk(server.url, (head + lengths + hidden).encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
