"""The example of a deployment on Ray Serve answers, and grows with the requests that wait."""

from __future__ import annotations

import importlib.util
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

for name in ("ray.serve", "fastapi", "sse_starlette", "prometheus_client", "httpx"):
    pytest.importorskip(name, reason="needs crispvl[server] and ray[serve]")

import httpx  # noqa: E402
import ray  # noqa: E402
from ray import cloudpickle, serve  # noqa: E402

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    script = EXAMPLES / "ray_serve.py"
    if not script.is_file():
        pytest.skip("this tree has no examples")
    spec = importlib.util.spec_from_file_location("ray_serve_example", script)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def url(example: ModuleType) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray.init(
        address="local",
        num_cpus=3,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 << 20,
    )
    cloudpickle.register_pickle_by_value(example)  # as if it were run: replicas cannot import it
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(example.build([], most=2, patience=0.5), name="crispvl")
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()
    ray.shutdown()


def n_replicas() -> int:
    states = serve.status().applications["crispvl"].deployments["crispvl"].replica_states
    return int(states.get("RUNNING", 0))


def read_receipt(url: str) -> str:
    picture = (EXAMPLES / "receipt.png").read_bytes()
    files = {"file": ("receipt.png", picture)}
    answer = httpx.post(f"{url}/v1/ocr", files=files, data={"format": "text"}, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_replica_is_a_whole_server(url: str) -> None:
    assert "CORNER CAFE" in read_receipt(url)
    assert httpx.get(f"{url}/health").json() == {"status": "ok"}
    models = httpx.get(f"{url}/v1/models").json()["data"]
    assert [model["id"] for model in models] == ["crispvl-nano"]


def test_requests_that_wait_start_another_replica(url: str) -> None:
    assert n_replicas() == 1
    enough = threading.Event()

    def keep_asking() -> list[str]:
        texts = []
        while not enough.is_set():
            texts.append(read_receipt(url))
        return texts

    deadline = time.monotonic() + 120
    with ThreadPoolExecutor(12) as pool:
        callers = [pool.submit(keep_asking) for _ in range(12)]
        while n_replicas() < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        grown = n_replicas()
        enough.set()
        texts = [text for caller in callers for text in caller.result()]
    assert grown == 2
    assert set(texts) == {texts[0]}
    assert "CORNER CAFE" in texts[0]
