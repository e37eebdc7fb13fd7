"""The form that a request binds its answer to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from crispvl.engine.constraint import JsonConstraint, RegexConstraint
from crispvl.engine.model import Model
from crispvl.engine.request import Constraint
from crispvl.options import ReadOptions
from crispvl.server.errors import ApiError
from crispvl.server.wire.chat import ChatRequest

ANY_OBJECT: Mapping[str, Any] = {"type": "object"}

MOST_CHOICES_LENGTH = 100_000

MOST_SCHEMA_LENGTH = 200_000
"""In characters of JSON. Larger ones take seconds, only to be too large to be followed."""

Form = Mapping[str, Any] | str
"""A JSON schema, or a regular expression."""


def asked_form(body: ChatRequest) -> Form | None:
    """Returns what an answer must follow, in OpenAI's words or vLLM's; None for nothing.

    Raises:
        ApiError: A schema is missing or malformed.
    """
    asked, more = body.response_format, body.structured_outputs
    if asked is not None and asked.type == "json_object":
        return ANY_OBJECT
    if asked is not None and asked.type == "json_schema":
        if asked.json_schema is None:
            raise _malformed("response_format.json_schema")
        return asked.json_schema.json_schema
    schema = body.guided_json if more is None else more.json_schema or body.guided_json
    if schema is not None:
        return _parsed(schema)
    choices = body.guided_choice if more is None else more.choice or body.guided_choice
    if choices is not None:
        if sum(map(len, choices)) > MOST_CHOICES_LENGTH:
            raise ApiError(
                400,
                f"[guided_choice] expected at most {MOST_CHOICES_LENGTH} characters of choices; "
                "found more; give fewer or shorter ones",
                "invalid_value",
                "guided_choice",
            )
        return "|".join(re.escape(choice) for choice in choices)
    return body.guided_regex if more is None else more.regex or body.guided_regex


def make_constraint(form: Form, model: Model, options: ReadOptions) -> Constraint:
    """Returns what holds one answer to a form.

    Raises:
        ApiError: The form cannot be followed, or not by this installation.
    """
    try:
        if isinstance(form, str):
            return RegexConstraint(model, form, options.temperature, options.seed)
        if len(json.dumps(form)) > MOST_SCHEMA_LENGTH:
            raise ApiError(
                422,
                f"[response_format] expected a schema of at most {MOST_SCHEMA_LENGTH} characters; "
                "found a longer one; shorten it",
                "invalid_schema",
                "response_format",
            )
        return JsonConstraint(model, form, options.temperature, options.seed)
    except ValueError as error:
        raise ApiError(422, str(error), "invalid_schema", "response_format") from error
    except ImportError:
        raise ApiError(
            422,
            "[response_format] expected a server that constrains answers; found its packages "
            "missing; its administrator can install crispvl[extract]",
            "no_structured_outputs",
        ) from None


def _parsed(schema: Mapping[str, Any] | str) -> Mapping[str, Any]:
    if not isinstance(schema, str):
        return schema
    try:
        parsed = json.loads(schema)
    except (ValueError, RecursionError):
        raise _malformed("guided_json") from None
    if not isinstance(parsed, dict):
        raise _malformed("guided_json")
    return parsed


def _malformed(param: str) -> ApiError:
    return ApiError(
        400,
        f"[{param}] expected a JSON schema; found something else; change it",
        "invalid_schema",
        param,
    )
