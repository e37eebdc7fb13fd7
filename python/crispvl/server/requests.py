"""How bodies become Python's values: as JSON, and as nothing else."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json

from crispvl.server.errors import ApiError

MAX_VALUES = 500_000
"""Of a body; each takes some fifty bytes, however short it is written. Commas in texts count."""


class JsonRoute(APIRoute):
    """A route whose JSON bodies are parsed within bounds of nesting, and must say what they are.

    A browser sends forms and plain text to other sites without asking; JSON it does not.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if (
                request.method == "POST"
                and kind != "application/json"
                and not kind.endswith("+json")
            ):
                raise ApiError(
                    415,
                    "[content-type] expected application/json; found something else; send "
                    "this header",
                    "not_json",
                )
            if request.method != "POST":
                return await handle(request)
            return await handle(_JsonRequest(request, read_json(await request.body())))

        return handle_json


class _JsonRequest(Request):
    """A request whose body was parsed."""

    def __init__(self, request: Request, parsed: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._body = b"null"  # what FastAPI looks at before it asks for the value
        self._parsed = parsed

    async def json(self) -> Any:
        return self._parsed


def read_json(body: bytes) -> Any:
    """Returns what a body holds, in bounds of nesting and without numbers that are none.

    Raises:
        ApiError: It holds something else.
    """
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
        raise ApiError(
            400,
            f"[body] expected at most {MAX_VALUES} values; found more; send fewer",
            "too_many_values",
        )
    try:
        return from_json(body.removeprefix(BOM_UTF8), allow_inf_nan=False)  # RFC 8259, 8.1
    except ValueError as error:
        raise ApiError(
            400,
            f"[body] expected JSON in UTF-8; found an error in it: {error}; correct it",
            "invalid_json",
        ) from None
