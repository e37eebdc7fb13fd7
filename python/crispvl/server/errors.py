"""Errors as OpenAI's clients read them: ``{"error": {"message", "type", "param", "code"}}``.

Texts go to strangers, so they hold neither paths nor addresses; what only an operator may know goes
to the log, under the id that the answer's ``x-request-id`` names.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from crispvl.errors import (
    ContextOverflowError,
    CrispVLError,
    DocumentError,
    ExtractionError,
    ImageError,
    PasswordError,
)

_log = logging.getLogger("crispvl.server")

REQUEST_ID: ContextVar[str] = ContextVar("crispvl_request_id", default="")
"""Of the request that is being answered, as its answer's ``x-request-id`` says it."""

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_ADDRESS_IN_MEMORY = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]+>|0x[0-9a-fA-F]{6,}")


class ApiError(Exception):
    """An answer that is an error.

    Args:
        status: Of HTTP.
        message: For the caller.
        code: What a program can act upon.
        param: Where in the request it is.
        retry_after: Seconds after which a new attempt may succeed. Without it, clients that retry
            by themselves are asked not to.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        return {
            "error": {
                "message": clean(str(self)),
                "type": _TYPES.get(self.status, "server_error"),
                "param": self.param,
                "code": self.code,
            }
        }

    def json(self) -> str:
        return json.dumps(self.body(), ensure_ascii=False)

    def headers(self) -> dict[str, str]:
        """``x-should-retry`` is heeded by OpenAI's clients, which else retry 408 and 5xx."""
        if self.retry_after is not None:
            return {"retry-after": str(self.retry_after), "x-should-retry": "true"}
        return (
            {"x-should-retry": "false"}
            if self.status in (408, 409, 429) or self.status > 499
            else {}
        )

    def response(self) -> JSONResponse:
        return JSONResponse(self.body(), self.status, self.headers())


def too_long(n_characters: int, param: str) -> ApiError:
    """Returns the error for texts that no context holds."""
    return ApiError(
        400,
        f"[{param}] expected a text that fits the model's context; found {n_characters} "
        "characters; shorten it",
        "context_length_exceeded",
        param,
    )


def shutting_down() -> ApiError:
    """Returns the error for requests that a server which ends does not finish."""
    return ApiError(
        503,
        "[server] expected a running server; found it shutting down; try again later",
        "shutting_down",
        retry_after=10,
    )


def clean(text: str) -> str:
    """Returns a text without addresses in memory, in at most 1000 characters."""
    text = _ADDRESS_IN_MEMORY.sub("…", text)
    return text if len(text) <= 1000 else text[:999] + "…"


_KINDS: Sequence[tuple[type[Exception], int, str]] = (
    (ContextOverflowError, 400, "context_length_exceeded"),
    (PasswordError, 422, "password_required"),
    (ImageError, 400, "invalid_image"),
    (DocumentError, 400, "invalid_document"),
    (ExtractionError, 422, "schema_not_followed"),
    (MemoryError, 503, "out_of_memory"),
)
"""What a request can cause. Texts of these say what is wrong with what was sent."""


def as_api_error(error: Exception, param: str | None = None) -> ApiError:
    """Returns the error for the caller; what the request did not cause is logged."""
    if isinstance(error, ApiError):
        return error
    for kind, status, code in _KINDS:
        if isinstance(error, kind):
            return ApiError(status, str(error), code, param)
    _log.error("request %s failed", REQUEST_ID.get(), exc_info=error)
    return ApiError(
        500,
        "[server] expected an answer; found an internal error; see the server's log",
        "internal_error",
    )


_HTTP_ERRORS = {
    404: (
        "not_found",
        "[path] expected one that this server has; found another; see /openapi.json",
    ),
    405: (
        "method_not_allowed",
        "[method] expected one that this path has; found another; see the header Allow",
    ),
}


def install(app: FastAPI) -> None:
    """Makes every error of an application an `ApiError`'s answer."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return as_api_error(error).response()

    async def answer_invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return invalid(error.errors()).response()

    async def answer_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code, text = _HTTP_ERRORS.get(error.status_code, ("bad_request", str(error.detail)))
        response = ApiError(error.status_code, text, code).response()
        response.headers.update(error.headers or {})
        return response

    for kind in (ApiError, CrispVLError, MemoryError):
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(Exception, answer)


def invalid(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    """Returns the error for a body that is not what the schema says, naming the first place."""
    first = _most_telling(errors)
    param = ".".join(_place(first)) or None
    if first["type"] == "json_invalid":
        reason = first.get("ctx", {}).get("error", "it is malformed")
        return ApiError(
            400,
            f"[body] expected JSON in UTF-8; found an error in it: {reason}; correct it",
            "invalid_json",
        )
    return ApiError(
        400,
        f"[{param or 'body'}] expected what the API describes; found otherwise: {first['msg']}; "
        "correct it",
        "invalid_value",
        param,
    )


_PART_KINDS = frozenset(("text", "image", "file", "input_file"))
_TYPE_NAMES = frozenset(("body", "query", "str", "int", "float", "bool"))


def _most_telling(errors: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Returns the first error, or one of the same field that got further into it.

    Where a field may be of several types, it has an error for each of them; the one that found the
    type right, or went deepest, is about what was meant.
    """
    same = [error for error in errors if _place(error)[:1] == _place(errors[0])[:1]]
    return max(same, key=lambda error: (not error["type"].endswith("_type"), len(_place(error))))


def _place(error: Mapping[str, Any]) -> list[str]:
    """Returns where an error is, without pydantic's names of types: ``list[str]``, ``ImageUrl``,
    and the kind of a part behind its number."""
    found: list[str] = []
    before: object = None
    for part in error["loc"]:
        name = str(part)
        is_kind = isinstance(before, int) and name in _PART_KINDS
        is_type = name in _TYPE_NAMES or name[:1].isupper() or not name.replace("_", "a").isalnum()
        if not (is_kind or is_type):
            found.append(name)
        before = part
    return found
