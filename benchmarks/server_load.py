"""`crispvl serve` under load: what it bears, and how fast it is for many at once.

    python benchmarks/server_load.py storm              # 64 clients for two minutes
    python benchmarks/server_load.py crowd              # 1600 connections at once
    python benchmarks/server_load.py together -m 1b.gguf
    python benchmarks/server_load.py against -m text.gguf --mmproj mmproj.gguf --llama-server PATH

`storm` and `crowd` check as well, and end with 1 where something was wrong: every good answer must
be the one that the same request gets alone, every bad request a 4xx, memory flat, and in the end no
place taken. The others print tokens per second and pages per minute.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import random
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image
from server_client import CHAT, Tally, answer, asking, read
from server_client import client as new_client
from server_process import crispvl_server, gauge, llama_server, resident_mib

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ("receipt.png", "code.png", "paragraph.png")
N_READERS = 4
"""Clients of a storm that have whole documents read: more than there are processes that decode."""

MOST_GROWTH = 1.1, 64
"""Of memory between the second and the last quarter of a storm: a factor, and MiB beside it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("load", choices=LOADS)
    parser.add_argument("-m", "--model", help="GGUF file; else the bundled model")
    parser.add_argument("--mmproj")
    parser.add_argument("--llama-server", help="llama.cpp's server, for `against`")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False))
    parser.add_argument("--clients", type=int, help="64 in a storm, 1600 in a crowd, else 8")
    parser.add_argument("--seconds", type=float, default=120, help="of a storm")
    parser.add_argument("--pages", type=int, default=16, help="for `against`")
    parser.add_argument("--tokens", type=int, default=128, help="of an answer, where they count")
    args = parser.parse_args()
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return asyncio.run(LOADS[args.load](args))


def _options(args: argparse.Namespace) -> list[str]:
    options = ["--threads", str(args.threads)]
    files = [name for name in (args.model, args.mmproj) if name]
    return [*options, "-m", "model=" + ",".join(files)] if files else options


async def storm(args: argparse.Namespace) -> int:
    """Clients that ask, leave and send garbage, side by side."""
    pictures = [(ROOT / "examples" / name).read_bytes() for name in PICTURES]
    pictures.append((ROOT / "python/crispvl/web/sample.png").read_bytes())
    bodies = [asking(picture) for picture in pictures]
    tally = Tally()
    with crispvl_server(*_options(args)) as (url, process):
        n_clients = args.clients or 64
        async with new_client(url, n_clients) as client:
            alone = [(await answer(client, body))[1] for body in bodies]
            document = _document(pictures)
            read_alone = (await read(client, document))[1]
            end = time.monotonic() + args.seconds
            clients = [
                _storm_client(client, bodies, alone, end, random.Random(i), tally)
                for i in range(n_clients - N_READERS)
            ]
            clients += [_reader(client, document, read_alone, end, tally) for _ in range(N_READERS)]
            memory, *_ = await asyncio.gather(_watch(process, end), *clients)
            await _check_places(url, tally)
            again = [(await answer(client, body))[1] for body in bodies]
            if again != alone:
                tally.wrong.append("an answer after the storm is not the one before it")
    quarter = len(memory) // 4
    early, late = max(memory[quarter : 2 * quarter]), max(memory[-quarter:])
    print(f"memory: {early:.0f} MiB in the second quarter, {late:.0f} MiB in the last")
    if late > MOST_GROWTH[0] * early + MOST_GROWTH[1]:
        tally.wrong.append("memory has grown")
    tally.report()
    return 1 if tally.wrong else 0


async def _storm_client(
    client: httpx.AsyncClient,
    bodies: Sequence[dict[str, Any]],
    alone: Sequence[str],
    end: float,
    chance: random.Random,
    tally: Tally,
) -> None:
    while time.monotonic() < end:
        kind = chance.choices(("good", "leaves", "garbage"), (5, 4, 3))[0]
        if kind == "garbage":
            await _send_garbage(client, chance, tally)
            continue
        i = chance.randrange(len(bodies))
        body = {**bodies[i], "stream": chance.random() < 0.5}
        started = time.monotonic()
        try:
            patience = chance.uniform(0, 3) if kind == "leaves" else None
            status, text = await asyncio.wait_for(answer(client, body), patience)
        except TimeoutError:
            tally.outcomes["left"] += 1
            continue
        except httpx.HTTPError as error:
            tally.wrong.append(f"{type(error).__name__}: {error}")
            continue
        if status == 200 and text == alone[i]:
            tally.outcomes["good"] += 1
            tally.seconds.append(time.monotonic() - started)
        else:
            tally.wrong.append(f"{status} {text[:200]!r} instead of {alone[i][:50]!r}")


def _document(pictures: Sequence[bytes]) -> bytes:
    """Returns a TIFF of some pages."""
    first, *others = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
    buffer = io.BytesIO()
    first.save(buffer, "TIFF", save_all=True, append_images=others, compression="tiff_deflate")
    return buffer.getvalue()


async def _reader(
    client: httpx.AsyncClient, document: bytes, alone: str, end: float, tally: Tally
) -> None:
    """Has a document of several pages read, over and over."""
    while time.monotonic() < end:
        status, text = await read(client, document)
        if (status, text) == (200, alone):
            tally.outcomes["document"] += 1
        else:
            tally.wrong.append(f"document: {status} {text[:200]!r}")


async def _send_garbage(client: httpx.AsyncClient, chance: random.Random, tally: Tally) -> None:
    picture = (ROOT / "examples" / PICTURES[0]).read_bytes()
    noise = chance.randbytes(chance.randrange(1, 2000))
    bodies: list[bytes] = [
        noise,
        json.dumps(asking(noise)).encode(),
        json.dumps(asking(picture[: chance.randrange(1, len(picture) // 2)])).encode(),
        json.dumps({"messages": "none"}).encode(),
        json.dumps(asking(picture, max_tokens="many")).encode(),
        b"[" * 5000,
    ]
    headers = {"content-type": "application/json"}
    response = await client.post(CHAT, content=chance.choice(bodies), headers=headers)
    if 400 <= response.status_code < 500:
        tally.outcomes["refused"] += 1
    else:
        tally.wrong.append(f"garbage was answered with {response.status_code}")


async def _watch(process: psutil.Process, end: float) -> list[float]:
    """Returns the server's memory in MiB, every half second."""
    found = []
    while time.monotonic() < end:
        found.append(resident_mib(process))
        await asyncio.sleep(0.5)
    return found


async def _check_places(url: str, tally: Tally) -> None:
    """Waits for all places to be free."""
    for _ in range(100):
        taken = [gauge(url, f"crispvl_requests_{name}") for name in ("running", "waiting")]
        if not any(taken):
            return
        await asyncio.sleep(0.2)
    tally.wrong.append(f"places are taken by nobody: {taken}")


async def crowd(args: argparse.Namespace) -> int:
    """As many connections as olmOCR opens, all at once."""
    n = args.clients or 1600
    # A short answer: it is about the connections.
    body = asking((ROOT / "examples" / PICTURES[0]).read_bytes(), max_tokens=8)
    tally = Tally()
    with crispvl_server(*_options(args)) as (url, process):
        async with new_client(url, n) as client:
            alone = (await answer(client, body))[1]

            async def ask() -> None:
                started = time.monotonic()
                try:
                    status, text = await answer(client, body)
                except httpx.HTTPError as error:
                    tally.wrong.append(f"{type(error).__name__}: {error}")
                    return
                tally.outcomes[str(status)] += 1
                if status == 200 and text == alone:
                    tally.seconds.append(time.monotonic() - started)
                elif status != 429:
                    tally.wrong.append(f"{status} {text[:100]!r}")

            await asyncio.gather(*(ask() for _ in range(n)))
            await _check_places(url, tally)
        print(f"memory: {resident_mib(process):.0f} MiB")
    tally.report()
    return 1 if tally.wrong else 0


async def together(args: argparse.Namespace) -> int:
    """Tokens per second of several clients, and of one alone."""
    n = args.clients or 8
    with crispvl_server(*_options(args)) as (url, _):
        async with new_client(url, n) as client:

            async def write(i: int) -> None:
                body = {"prompt": f"{i} and {i + 1} make", "max_tokens": args.tokens}
                response = await client.post("/v1/completions", json={**body, "ignore_eos": True})
                assert response.json()["usage"]["completion_tokens"] == args.tokens, response.text

            await write(0)
            one = args.tokens / await _seconds(lambda: write(0))
            many = n * args.tokens / await _seconds(lambda: asyncio.gather(*map(write, range(n))))
    print(f"1 client: {one:.1f} tokens/s; {n} clients: {many:.1f} tokens/s; {many / one:.2f} times")
    return 0


async def against(args: argparse.Namespace) -> int:
    """Pages per minute, beside those of llama.cpp's server with the same files and requests."""
    n = args.clients or 8
    rates = {}
    llama = [args.llama_server, "-m", args.model, "--mmproj", args.mmproj, "-np", str(n)]
    llama += ["-c", str(4096 * n), "-t", str(args.threads)]
    servers = {
        "crispvl": lambda: crispvl_server(*_options(args)),
        "llama-server": lambda: llama_server(*llama),
    }
    for name, start in servers.items():
        with start() as (url, _):
            async with new_client(url, n) as client:
                rates[name] = await _pages_per_minute(client, args, n)
        print(f"{name}: {rates[name]:.2f} pages/min of {args.tokens} tokens, {n} clients")
    print(f"{rates['crispvl'] / rates['llama-server']:.2f} times")
    return 0


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
    page = Image.open(ROOT / "python/crispvl/web/sample.png").convert("RGB").resize((1240, 1754))
    page.putpixel((i, 0), (i % 256, 0, 0))
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


async def _seconds(work: Callable[[], Awaitable[Any]]) -> float:
    started = time.monotonic()
    await work()
    return time.monotonic() - started


LOADS = {"storm": storm, "crowd": crowd, "together": together, "against": against}

if __name__ == "__main__":
    sys.exit(main())
