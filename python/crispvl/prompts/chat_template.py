"""Jinja chat templates that come inside a model file, rendered in a sandbox.

The environment offers what templates are written against in transformers: trimmed blocks,
``tojson`` without HTML escapes, ``raise_exception``, ``strftime_now``, loop controls and
``{% generation %}``; ``tools`` and ``documents`` are none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from crispvl.errors import ModelFileError
from crispvl.prompts.messages import ImagePart, Message, flatten, plain

_PROBE = "d1f0b7c2"
"""A text that no template writes by itself."""


class ChatTemplate:
    """One compiled template.

    Args:
        source: The template's text, as stored under ``tokenizer.chat_template``.
        variables: Strings the template may use, such as ``bos_token``.

    Raises:
        ModelFileError: The text is no template.
    """

    def __init__(self, source: str, variables: Mapping[str, str] | None = None) -> None:
        self._variables = dict(variables or {})
        try:
            self._template = _environment().from_string(source)
        except jinja2.TemplateError as error:
            raise ModelFileError(
                f"[chat template] a Jinja template is expected; {error}; convert the model again"
            ) from error

    def render(self, messages: Sequence[Message]) -> str:
        """Returns the prompt up to where the model's answer begins.

        Each image shows as the placeholder that the template itself writes, or, where a template
        knows only strings, as the reference's `crispvl.prompts.messages.flatten` writes it.

        Raises:
            ModelFileError: The template fails, or refuses these messages.
        """
        if not self._accepts_parts:
            flat = [{"role": role, "content": text} for role, text in flatten(messages)]
            return self._render(flat)
        bare = self._shown_bare(messages)
        return self._render([_as_dict(message, i in bare) for i, message in enumerate(messages)])

    @cached_property
    def _accepts_parts(self) -> bool:
        """Whether the template walks through content parts: found by trying it."""
        parts = [{"type": "image"}, {"type": "text", "text": _PROBE}]
        try:
            prompt = self._render([{"role": "user", "content": parts}])
        except ModelFileError:
            return False
        return _PROBE in prompt and "'type'" not in prompt  # not a printed list

    def _shown_bare(self, messages: Sequence[Message]) -> frozenset[int]:
        """Returns which messages may be a plain string: many templates show that, some lose it."""
        texts = {i: f"{_PROBE}:{i};" for i, message in enumerate(messages) if _is_text(message)}
        probes = [
            {"role": message.role, "content": texts[i]} if i in texts else _as_dict(message)
            for i, message in enumerate(messages)
        ]
        try:
            prompt = self._render(probes)
        except ModelFileError:
            return frozenset()
        return frozenset(i for i, text in texts.items() if text in prompt)

    def _render(self, messages: list[dict[str, Any]]) -> str:
        try:
            return self._template.render(
                messages=messages,
                tools=None,
                documents=None,
                add_generation_prompt=True,
                **self._variables,
            )
        except jinja2.TemplateError as error:
            reason = str(error)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
        raise ModelFileError(
            f"[chat template] a prompt is expected; the template answered {reason!r}; change the "
            "messages, or convert the model with another template"
        )


def _is_text(message: Message) -> bool:
    return len(message.parts) == 1 and isinstance(message.parts[0], str)


def _as_dict(message: Message, bare: bool = False) -> dict[str, Any]:
    """Returns a message as templates take it; with ``bare`` its only text is no list of parts."""
    if bare:
        return {"role": message.role, "content": message.parts[0]}
    content: list[dict[str, str]] = []
    for part in message.parts:
        if not isinstance(part, ImagePart):
            content.append({"type": "text", "text": plain(part)})
            continue
        if part.label:
            content.append({"type": "text", "text": f"{part.label}: "})
        content.append({"type": "image"})
    return {"role": message.role, "content": content}


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


class _Generation(Extension):
    """Around what the assistant wrote, a mark for training; the prompt is as without it."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
