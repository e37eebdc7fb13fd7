"""What `server_load.py` has a server bear: a storm and a crowd."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image
from server_client import CHAT, Tally, answer, asking, read
from server_client import client as new_client
from server_process import crispvl_server, gauge, options, resident_mib

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ("receipt.png", "code.png", "paragraph.png")
N_READERS = 4
"""Clients of a storm that have whole documents read: more than there are processes that decode."""

MOST_GROWTH = 1.1, 64
"""Of memory between the second and the last quarter of a storm: a factor, and MiB beside it."""


async def storm(args: argparse.Namespace) -> Tally:
    """Clients that ask, leave and send garbage, side by side."""
    pictures = [(ROOT / "examples" / name).read_bytes() for name in PICTURES]
    pictures.append((ROOT / "python/crispvl/web/sample.png").read_bytes())
    bodies = [asking(picture) for picture in pictures]
    n_clients = args.clients or 64
    tally = Tally(n_clients)
    with crispvl_server(*options(args)) as (url, process):
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
    if late > MOST_GROWTH[0] * early + MOST_GROWTH[1]:
        tally.wrong.append(f"memory has grown from {early:.0f} to {late:.0f} MiB")
    tally.more = {"duration_s": args.seconds, "memory_mib": [round(early), round(late)]}
    return tally


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


async def crowd(args: argparse.Namespace) -> Tally:
    """As many connections as olmOCR opens, all at once."""
    n = args.clients or 1600
    # A short answer: it is about the connections.
    body = asking((ROOT / "examples" / PICTURES[0]).read_bytes(), max_tokens=8)
    tally = Tally(n)
    with crispvl_server(*options(args)) as (url, process):
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
        tally.more = {"memory_mib": [round(resident_mib(process))]}
    return tally
