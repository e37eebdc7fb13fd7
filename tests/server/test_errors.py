"""What is wrong with a request is said with the right status, and ends nothing."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from .conftest import asking, data_address

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


def test_a_model_that_is_not_here_is_a_404(client: httpx.Client, receipt: bytes) -> None:
    check(client.post(PATH, json=asking(receipt, model="gpt-9")), 404, "model_not_found")
    check(client.get("/v1/models/gpt-9"), 404, "model_not_found")


def test_a_path_that_is_not_here_is_a_404(client: httpx.Client) -> None:
    check(client.get("/v1/nothing"), 404)
    check(client.get(PATH), 405)


def test_a_prompt_beyond_the_context_says_so(client: httpx.Client) -> None:
    body = {"messages": [{"role": "user", "content": "word " * 5000}]}
    check(client.post(PATH, json=body), 400, "context_length_exceeded")
