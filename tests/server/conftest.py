"""Servers over real HTTP on this machine, and clients for them."""

from __future__ import annotations

import base64
import contextlib
import io
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

for name in ("fastapi", "uvicorn", "sse_starlette", "prometheus_client", "httpx"):
    pytest.importorskip(name, reason=f"needs {name}: pip install 'crispvl[server,test]'")

import httpx  # noqa: E402
from crispvl import CrispOCR  # noqa: E402

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
START_LIMIT_S = 120


class RunningServer:
    """A process of ``crispvl serve``.

    Attributes:
        url: Without a path.
        lines: What it has written to standard error.
    """

    def __init__(self, *arguments: str) -> None:
        command = [
            sys.executable,
            "-m",
            "crispvl",
            "serve",
            "--port",
            "0",
            "--threads",
            "1",
            *arguments,
        ]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        found: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._listen, args=(found,), daemon=True).start()
        url = found.get(timeout=START_LIMIT_S)
        assert url is not None, "".join(self.lines)
        self.url = url

    def _listen(self, found: queue.Queue[str | None]) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            match = re.search(r" at (http://\S+)", line)
            if match:
                found.put(match[1])
        found.put(None)

    def wait_until_ready(self) -> RunningServer:
        transport = httpx.HTTPTransport(retries=10)
        with httpx.Client(base_url=self.url, transport=transport, timeout=START_LIMIT_S) as client:
            for _ in range(10 * START_LIMIT_S):
                if client.get("/health").status_code == 200:
                    return self
                threading.Event().wait(0.1)
        raise TimeoutError("".join(self.lines))

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """The bundled model's server, as it is by default."""
    running = RunningServer().wait_until_ready()
    yield running
    running.stop()


@pytest.fixture
def serve() -> Iterator[Callable[..., RunningServer]]:
    """Starts servers with options of a test's own."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str) -> RunningServer:
            running = RunningServer(*arguments)
            stack.callback(running.stop)
            return running.wait_until_ready()

        yield start


@pytest.fixture(scope="session")
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client


@pytest.fixture(scope="session")
def ocr() -> Iterator[CrispOCR]:
    """The same model, without a server."""
    with CrispOCR(threads=1) as ocr:
        yield ocr


@pytest.fixture(scope="session")
def receipt() -> bytes:
    return (EXAMPLES / "receipt.png").read_bytes()


def data_address(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


QUESTION = "Describe it."
"""Asked this, the bundled model sees pictures as they are; asked for their text, it reads lines."""


def asking(*parts: Any, prompt: str = QUESTION, **fields: Any) -> dict[str, Any]:
    """Returns the body of a request about images, the text behind them."""
    content = [
        {"type": "image_url", "image_url": {"url": data_address(part)}}
        if isinstance(part, bytes)
        else part
        for part in parts
    ]
    message = {"role": "user", "content": [*content, {"type": "text", "text": prompt}]}
    return {"messages": [message], **fields}


def encoded(image: Any, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
