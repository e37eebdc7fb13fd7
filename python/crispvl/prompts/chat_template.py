"""Jinja chat templates that come inside a model file, rendered in a sandbox.

The environment offers what templates are written against in transformers: trimmed blocks,
``tojson`` without HTML escapes, ``raise_exception``, ``strftime_now``, loop controls and
``{% generation %}``; ``tools`` and ``documents`` are none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from crispvl.errors import ModelFileError
from crispvl.prompts.messages import ImagePart, Message, flatten, plain
from crispvl.prompts.template_costs import LimitError
from crispvl.prompts.template_sandbox import compile_template, render_template

_THINKING = "enable_thinking"

_PROBE = "d1f0b7c2"
"""A text that no template writes by itself."""


class ChatTemplate:
    """One compiled template.

    Args:
        source: The template's text, as stored under ``tokenizer.chat_template``.
        variables: Strings the template may use, such as ``bos_token``.

    Raises:
        ModelFileError: The text is no template, or one that costs too much; see
            `crispvl.prompts.template_sandbox`.
    """

    def __init__(self, source: str, variables: Mapping[str, str] | None = None) -> None:
        self._variables = dict(variables or {})
        self.knows_thinking = _THINKING in source
        """Whether it says if a model is to think first."""
        try:
            self._template = compile_template(source)
        except LimitError as error:
            raise _refused(error) from error
        except jinja2.TemplateError as error:
            raise ModelFileError(
                f"[chat template] expected a Jinja template; found an error in it ({_cut(error)}); "
                "convert the model again"
            ) from error
        self._accepts_parts = self._try_parts()

    def render(self, messages: Sequence[Message], thinking: bool | None = None) -> str:
        """Returns the prompt up to where the model's answer begins.

        Each image shows as the placeholder that the template itself writes, or, where a template
        knows only strings, as the reference's `crispvl.prompts.messages.flatten` writes it.

        Args:
            messages: The conversation.
            thinking: The template's ``enable_thinking``; None leaves it undefined.

        Raises:
            ModelFileError: The template fails, or refuses these messages.
        """
        if not self._accepts_parts:
            flat = [{"role": role, "content": text} for role, text in flatten(messages)]
            return self._render(flat, thinking)
        bare = self._shown_bare(messages)
        shown = [_as_dict(message, i in bare) for i, message in enumerate(messages)]
        return self._render(shown, thinking)

    def _try_parts(self) -> bool:
        """Returns whether the template walks through content parts: found by trying it.

        Raises:
            ModelFileError: It costs too much, with parts or with plain text.
        """
        parts = [{"type": "image"}, {"type": "text", "text": _PROBE}]
        shown = ""
        for content in (_PROBE, parts):
            try:
                shown = self._run([{"role": "user", "content": content}])
            except LimitError as error:
                raise _refused(error) from error
            except _FAILURES:
                shown = ""
        return _PROBE in shown and "'type'" not in shown  # not a printed list

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

    def _render(self, messages: list[dict[str, Any]], thinking: bool | None = None) -> str:
        try:
            return self._run(messages, thinking)
        except _FAILURES as error:
            raise _refused(error) from error

    def _run(self, messages: list[dict[str, Any]], thinking: bool | None = None) -> str:
        variables = {**self._variables, "messages": messages, "add_generation_prompt": True}
        if thinking is not None:
            variables[_THINKING] = thinking
        text = render_template(self._template, {**variables, "tools": None, "documents": None})
        text.encode()  # ValueError where it holds half a surrogate pair
        return text


_FAILURES = (
    jinja2.TemplateError, ArithmeticError, AssertionError, AttributeError, LookupError, NameError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""What a template can fail with."""


def _refused(error: Exception) -> ModelFileError:
    reason = _cut(error) if isinstance(error, jinja2.TemplateError) else _cut(repr(error))
    if isinstance(error, LimitError):
        return ModelFileError(
            f"[chat template] expected a template of bounded cost; found one that {reason}; "
            "convert the model with another template"
        )
    return ModelFileError(
        f"[chat template] expected a prompt; found the template's error {reason!r}; change the "
        "messages, or convert the model with another template"
    )


def _cut(error: object) -> str:
    """Returns what a template says, of whatever length, as part of a message."""
    text = str(error)
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "…"


_MOST_CHARACTERS = 300  # of a template's own words


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
