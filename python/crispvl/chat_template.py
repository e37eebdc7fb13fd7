"""Jinja chat templates that come inside a model file, rendered in a sandbox.

The environment offers what templates are written against in transformers: trimmed blocks,
``tojson`` without HTML escapes, ``raise_exception``, ``strftime_now`` and loop controls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from crispvl.errors import ModelFileError
from crispvl.messages import ImagePart, Message, flatten, plain


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
        knows only strings, as the reference's `crispvl.messages.flatten` writes it.

        Raises:
            ModelFileError: The template fails, or refuses these messages.
        """
        if self._accepts_parts:
            return self._render([_with_parts(message) for message in messages])
        return self._render([{"role": role, "content": text} for role, text in flatten(messages)])

    @cached_property
    def _accepts_parts(self) -> bool:
        """Whether the template walks through content parts: found by trying it."""
        text = "d1f0b7c2"
        parts = [{"type": "image"}, {"type": "text", "text": text}]
        try:
            prompt = self._render([{"role": "user", "content": parts}])
        except ModelFileError:
            return False
        return text in prompt and "'type'" not in prompt  # not a printed list

    def _render(self, messages: list[dict[str, Any]]) -> str:
        try:
            return self._template.render(
                messages=messages, add_generation_prompt=True, **self._variables
            )
        except jinja2.TemplateError as error:
            reason = str(error)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
        raise ModelFileError(
            f"[chat template] a prompt is expected; the template answered {reason!r}; change the "
            "messages, or convert the model with another template"
        )


def _with_parts(message: Message) -> dict[str, Any]:
    if len(message.parts) == 1 and isinstance(message.parts[0], str):
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
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
