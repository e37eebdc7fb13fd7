"""How bodies become Python's values: as JSON, and as nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json

from crispvl.server.errors import ApiError


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
                    415, "The header Content-Type: application/json is expected.", "not_json"
                )
            return await handle(_JsonRequest(request.scope, request.receive))

        return handle_json


class _JsonRequest(Request):
    async def json(self) -> Any:
        body = await self.body()
        try:
            return from_json(body, allow_inf_nan=False)
        except ValueError as error:
            raise json.JSONDecodeError(str(error), "", 0) from None
