"""How fast a server is for many at once, for `server_load.py`."""

from __future__ import annotations

import argparse
import asyncio
import io
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from server_client import CHAT, Tally, asking
from server_client import client as new_client
from server_process import crispvl_server, llama_server, options

SAMPLE = Path(__file__).resolve().parents[1] / "python/crispvl/web/sample.png"


async def together(args: argparse.Namespace) -> Tally:
    """Tokens per second of several clients, and of one alone."""
    n = args.clients or 8
    with crispvl_server(*options(args)) as (url, _):
        async with new_client(url, n) as client:

            async def write(i: int) -> None:
                body = {"prompt": f"{i} and {i + 1} make", "max_tokens": args.tokens}
                response = await client.post("/v1/completions", json={**body, "ignore_eos": True})
                assert response.json()["usage"]["completion_tokens"] == args.tokens, response.text

            await write(0)
            one = args.tokens / await _seconds(lambda: write(0))
            many = n * args.tokens / await _seconds(lambda: asyncio.gather(*map(write, range(n))))
    return Tally(n, more={"tokens_per_s": [round(one, 1), round(many, 1)]})


async def against(args: argparse.Namespace) -> Tally:
    """Pages per minute, beside those of llama.cpp's server with the same files and requests."""
    n = args.clients or 8
    rates = {}
    llama = [args.llama_server, "-m", args.model, "--mmproj", args.mmproj, "-np", str(n)]
    llama += ["-c", str(4096 * n), "-t", str(args.threads)]
    servers = {
        "crispvl": lambda: crispvl_server(*options(args)),
        "llama-server": lambda: llama_server(*llama),
    }
    for name, start in servers.items():
        with start() as (url, _):
            async with new_client(url, n) as client:
                rates[name] = await _pages_per_minute(client, args, n)
        print(f"{name}: {rates[name]:.2f} pages/min", flush=True)
    more = {"n_pages": args.pages, "n_tokens": args.tokens, "pages_per_min": rates}
    return Tally(n, more=more)


async def _pages_per_minute(client: httpx.AsyncClient, args: argparse.Namespace, n: int) -> float:
    pages = iter(range(args.pages))

    async def read(i: int) -> None:
        fields = {"max_tokens": args.tokens, "ignore_eos": True, "temperature": 0}
        response = await client.post(CHAT, json=asking(_page(i), **fields))
        assert response.status_code == 200, response.text

    async def read_some() -> None:
        for i in pages:
            await read(i)

    await read(args.pages)  # warm
    seconds = await _seconds(lambda: asyncio.gather(*(read_some() for _ in range(n))))
    return 60 * args.pages / seconds


def _page(i: int) -> bytes:
    """Returns an A4 page at 150 dpi, each with other pixels, so that no cache knows it."""
    page = Image.open(SAMPLE).convert("RGB").resize((1240, 1754))
    page.putpixel((i, 0), (i % 256, 0, 0))
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


async def _seconds(work: Callable[[], Awaitable[Any]]) -> float:
    started = time.monotonic()
    await work()
    return time.monotonic() - started
