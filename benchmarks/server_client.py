"""What the clients of server_load.py send, and how they count what comes back."""

from __future__ import annotations

import base64
import collections
import json
import statistics
from dataclasses import dataclass, field
from typing import Any

import httpx

CHAT = "/v1/chat/completions"


@dataclass
class Tally:
    """What became of requests."""

    n_clients: int
    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    seconds: list[float] = field(default_factory=list)
    """Of good answers, from the request to the last byte."""
    more: dict[str, Any] = field(default_factory=dict)
    """Figures of a kind of load's own."""
    wrong: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = {"n_clients": self.n_clients, **self.more}
        if self.outcomes:
            figures["outcomes"] = dict(sorted(self.outcomes.items()))
        if len(self.seconds) > 1:
            cuts = statistics.quantiles(self.seconds, n=100, method="inclusive")
            figures["p50_s"], figures["p99_s"] = round(cuts[49], 2), round(cuts[98], 2)
        return figures


def client(url: str, most: int) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
    return httpx.AsyncClient(base_url=url, timeout=600, limits=limits)


def asking(picture: bytes, prompt: str = "OCR", **fields: Any) -> dict[str, Any]:
    address = "data:image/png;base64," + base64.b64encode(picture).decode()
    parts = [
        {"type": "image_url", "image_url": {"url": address}},
        {"type": "text", "text": prompt},
    ]
    return {"messages": [{"role": "user", "content": parts}], **fields}


async def answer(client: httpx.AsyncClient, body: dict[str, Any]) -> tuple[int, str]:
    """Returns the status and the text of an answer, however it comes."""
    if not body.get("stream"):
        response = await client.post(CHAT, json=body)
        if response.status_code != 200:
            return response.status_code, response.text
        return 200, response.json()["choices"][0]["message"]["content"]
    texts = []
    async with client.stream("POST", CHAT, json=body) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    texts.append(choice["delta"].get("content") or "")
    return response.status_code, "".join(texts)


async def read(client: httpx.AsyncClient, document: bytes) -> tuple[int, str]:
    response = await client.post("/v1/ocr", files={"file": document}, data={"format": "text"})
    return response.status_code, response.text
