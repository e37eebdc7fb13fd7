"""A server in a process of its own, for server_load.py."""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import httpx
import psutil

START_LIMIT_S = 300


@contextlib.contextmanager
def crispvl_server(*options: str) -> Iterator[tuple[str, psutil.Process]]:
    """Runs ``crispvl serve``; yields its address and its process, once it is ready."""
    with running(_crispvl_command, options) as found:
        yield found


@contextlib.contextmanager
def llama_server(binary: str, *options: str) -> Iterator[tuple[str, psutil.Process]]:
    """Runs llama.cpp's server in the same way."""
    with running(lambda port: [binary, "--port", str(port), "--no-webui"], options) as found:
        yield found


def options(args: argparse.Namespace) -> list[str]:
    """Returns what ``crispvl serve`` is told by `server_load.py`'s options."""
    files = ",".join(name for name in (args.model, args.mmproj) if name)
    return ["--threads", str(args.threads), *(["-m", f"model={files}"] if files else [])]


def _crispvl_command(port: int) -> list[str]:
    return [sys.executable, "-m", "crispvl", "serve", "--port", str(port)]


@contextlib.contextmanager
def running(
    command: Callable[[int], list[str]], options: Sequence[str]
) -> Iterator[tuple[str, psutil.Process]]:
    """Runs a server at a free port, and ends it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([*command(port), *options], stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url, process)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health").status_code == 200:
                return
        time.sleep(0.2)
    raise RuntimeError("the server did not start")


def resident_mib(process: psutil.Process) -> float:
    """Returns the memory of a process and of those that it has started."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += one.memory_info().rss
    return total / (1 << 20)


def gauge(url: str, name: str) -> float:
    """Returns the sum of a metric over its labels."""
    text = httpx.get(f"{url}/metrics", timeout=60).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (.+)$", text, re.M))
