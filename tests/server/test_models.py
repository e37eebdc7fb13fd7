"""The models that a server lists, and how it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import crispvl
import httpx
import pytest
from crispvl.options import LoadOptions
from crispvl.server import pool
from crispvl.server.admission import Admission

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


@pytest.mark.anyio
async def test_a_model_whose_caller_leaves_while_it_is_loaded_is_loaded_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[object] = []
    may_end = threading.Event()

    class Slow:
        def __init__(self, *_: object, **__: object) -> None:
            begun.append(self)
            may_end.wait(30)

        def close(self) -> None:
            begun.remove(self)

    monkeypatch.setattr(pool, "CrispOCR", Slow)
    sources = {"a": pool.ModelSource("none"), "b": pool.ModelSource("none")}
    models = pool.ModelPool(sources, LoadOptions(), lambda n: Admission(n, 1, 1.0), 1, None, 60.0)

    async def ask() -> object:
        async with models.use("b") as model:
            return model.ocr

    leaving = asyncio.ensure_future(ask())
    while not begun:
        await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.wait((leaving,))
    staying = [asyncio.ensure_future(ask()) for _ in range(2)]
    await asyncio.sleep(0.05)
    may_end.set()
    assert await asyncio.gather(*staying) == begun * 2
    assert len(begun) == 1
    await models.close()
    assert begun == []


def test_metrics_count_what_was_asked(client: httpx.Client, receipt: bytes) -> None:
    client.post("/v1/chat/completions", json=asking(receipt, max_tokens=1))
    text = client.get("/metrics").text
    assert 'crispvl_requests_total{path="/v1/chat/completions",status="200"}' in text
    assert 'crispvl_places{model="crispvl-nano"}' in text
    assert "crispvl_generated_tokens_total" in text
