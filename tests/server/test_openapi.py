"""The OpenAPI document is true: whatever is sent by it, the server does not fail."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .conftest import RunningServer

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed")

PATHS = [
    "/v1/chat/completions", "/v1/completions", "/v1/ocr", "/v1/ocr/{name}", "/v1/models",
    "/v1/models/{name}", "/tokenize", "/detokenize", "/health", "/version", "/metrics",
]  # fmt: skip


@pytest.fixture(scope="module")
def document(server: RunningServer) -> Any:
    return httpx.get(f"{server.url}/openapi.json", timeout=60).json()


def test_every_endpoint_is_described(document: dict[str, Any]) -> None:
    assert set(PATHS) <= set(document["paths"])
    body = document["paths"]["/v1/ocr"]["post"]["requestBody"]["content"]
    assert {"application/json", "multipart/form-data"} <= set(body)
    answer = document["paths"]["/v1/ocr"]["post"]["responses"]["200"]
    assert "x-document-id" in answer["headers"]
    assert {"application/json", "text/plain", "application/pdf"} <= set(answer["content"])


def shorten(body: Any, name: str) -> None:
    """Asks for one token where many would be written, which only takes longer."""
    if isinstance(body, dict) and {"prompt", "messages"} & body.keys():
        asked = body.get(name)
        if asked is None or (type(asked) is int and asked > 1):
            body[name] = 1


@pytest.mark.parametrize("path", PATHS)
def test_nothing_that_is_sent_makes_the_server_fail(
    server: RunningServer, document: dict[str, Any], path: str
) -> None:
    schema = schemathesis.openapi.from_dict(document)
    (method,) = (name for name in document["paths"][path] if name in ("get", "post"))
    operation = schema[path][method.upper()]

    @hypothesis.settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def send(case: Any) -> None:
        for name in ("max_tokens", "max_completion_tokens"):
            shorten(case.body, name)
        response = case.call(base_url=server.url, timeout=120)
        assert response.status_code < 500 or response.status_code == 503, response.text
        assert response.status_code == 200 or "error" in response.json()

    send()


def test_bodies_at_random_do_not_make_the_server_fail(server: RunningServer) -> None:
    @hypothesis.settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @hypothesis.given(body=hypothesis.strategies.binary(max_size=300))
    def send(body: bytes) -> None:
        for path in ("/v1/chat/completions", "/v1/ocr", "/tokenize"):
            headers = {"content-type": "application/json"}
            response = httpx.post(f"{server.url}{path}", content=body, headers=headers)
            assert 400 <= response.status_code < 500

    send()
