"""The models that a server lists, and how it is."""

from __future__ import annotations

from collections.abc import Callable

import crispvl
import httpx
import pytest

from .conftest import RunningServer, asking


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/v1/models/", "/models/"])
def test_one_model_is_listed_by_default(client: httpx.Client, path: str) -> None:
    reply = client.get(path).json()
    (card,) = reply["data"]
    assert reply["object"] == "list"
    assert card["object"] == "model"
    assert client.get(f"/v1/models/{card['id']}").json() == card


def test_health_and_version_are_told(client: httpx.Client) -> None:
    for path in ("/health", "/health/", "/health/live", "/health/ready"):
        response = client.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert client.get("/version").json() == {"version": crispvl.__version__}


def test_models_are_loaded_when_they_are_asked_for_and_make_room(
    serve: Callable[..., RunningServer], receipt: bytes
) -> None:
    from crispvl.hub import bundled

    model = str(bundled.path())
    size = bundled.path().stat().st_size
    server = serve(
        "-m", f"first={model}", "-m", f"second={model}", "-m", f"third={model}",
        "--model-memory", str(2 * size + 1000),
    )  # fmt: skip
    with httpx.Client(base_url=server.url, timeout=120) as client:
        cards = client.get("/v1/models").json()["data"]
        assert [card["id"] for card in cards] == ["first", "second", "third"]
        assert [card["max_model_len"] is None for card in cards] == [False, True, True]
        for name in ("second", "third", "first"):
            body = asking(receipt, model=name, max_tokens=1)
            reply = client.post("/v1/chat/completions", json=body).json()
            assert reply["model"] == name
        cards = client.get("/v1/models").json()["data"]
        assert [card["max_model_len"] is None for card in cards] == [False, True, False]


def test_metrics_count_what_was_asked(client: httpx.Client, receipt: bytes) -> None:
    client.post("/v1/chat/completions", json=asking(receipt, max_tokens=1))
    text = client.get("/metrics").text
    assert 'crispvl_requests_total{path="/v1/chat/completions",status="200"}' in text
    assert 'crispvl_places{model="crispvl-nano"}' in text
    assert "crispvl_generated_tokens_total" in text
