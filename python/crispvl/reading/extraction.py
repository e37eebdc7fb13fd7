"""Structured answers: a schema in, a validated object out.

The schema is in the prompt and the answer is checked against it; where it does not fit, the
model is told so and asked again. `crispvl.engine.constraint` keeps answers to the schema from the
start.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crispvl.errors import ContextOverflowError, ExtractionError
from crispvl.extras import need
from crispvl.prompts.builder import TextModel
from crispvl.prompts.messages import ImagePart
from crispvl.reading.json_answer import find_json
from crispvl.results.generation import Answer

MAX_ATTEMPTS = 3

PROMPT = (
    "Extract the information in this document as JSON that follows this JSON schema:\n{schema}\n"
    "Use null where the document does not say. Output only the JSON."
)
_CUTS = {
    "length": (
        "at max_tokens, or where the model's context ends",
        "raise max_tokens, read fewer pages or tiles, or ask for less",
    ),
    "time_limit": ("by the time limit", "raise time_limit and page_time_limit"),
    "repetition": ("where it began to repeat itself", "raise temperature, or ask for less"),
}  # by finish reason: where, and what to do

AGAIN = "That does not follow the schema: {reason}\nOutput only the corrected JSON."


class Schema:
    """What an answer has to be: a JSON schema, or a pydantic model.

    Args:
        schema: A JSON schema as a dict, or a class derived from ``pydantic.BaseModel``.

    Attributes:
        json_schema: As a dict.
        text: As it is in the prompt.
        prompt: What is asked, with the schema.

    Raises:
        TypeError: It is neither.
        ValueError: The dict is no JSON schema, is nested too deeply, or refers to what it does not
            hold.
        ImportError: A dict was given and the package jsonschema is not installed.
    """

    def __init__(self, schema: Any) -> None:
        if isinstance(schema, Mapping):
            self.json_schema: Mapping[str, Any] = schema
            try:
                self._validate = _json_schema_validator(schema)
            except RecursionError as error:
                raise ValueError(
                    "[schema] expected a JSON schema of few levels; found one that is nested too "
                    "deeply, or holds itself; refer to its parts by $ref"
                ) from error
        elif isinstance(schema, type) and hasattr(schema, "model_json_schema"):
            model: Any = schema
            self.json_schema = model.model_json_schema()
            self._validate = model.model_validate
        else:
            raise TypeError(
                "[schema] expected a JSON schema as a dict, or a pydantic model class; found "
                f"{schema!r}; pass one of these"
            )
        self.text = _as_json(self.json_schema)
        self.prompt = PROMPT.format(schema=self.text)

    def parse(self, answer: str) -> Any:
        """Returns the object that an answer holds.

        Raises:
            ExtractionError: It holds no JSON, or JSON of another shape.
        """
        try:
            return self._validate(find_json(answer))
        except (ValueError, RecursionError) as error:  # pydantic's and jsonschema's own, too
            reason = " ".join(str(error).split())[:500]
            raise ExtractionError(
                f"[answer] expected JSON that follows the schema; found {reason}; read it again "
                "with another prompt, or a larger model",
                answer,
            ) from error


def extract(
    chat: Callable[[list[dict[str, Any]]], Answer],
    images: Sequence[ImagePart],
    schema: Schema,
    prompt: str | None,
) -> Any:
    """Asks until the answer follows a schema.

    Args:
        chat: Answers a conversation.
        images: The document's pages.
        schema: What the answer has to be.
        prompt: What to extract, put before the schema.

    Raises:
        ExtractionError: An answer was cut off, or `MAX_ATTEMPTS` did not follow the schema.
        ContextOverflowError: The pages and the schema do not fit the model's context.
    """
    question = schema.prompt if prompt is None else f"{prompt}\n\n{schema.prompt}"
    turns: list[dict[str, Any]] = [{"role": "user", "content": [*images, question]}]
    failure: ExtractionError | None = None
    for _ in range(MAX_ATTEMPTS):
        try:
            answer = chat(turns)
        except ContextOverflowError:
            if failure is None:
                raise
            break  # there is no room to ask again
        check_complete(answer)
        try:
            return schema.parse(answer.text)
        except ExtractionError as error:
            failure = error
            again = AGAIN.format(reason=error.__cause__)
            turns.append({"role": "assistant", "content": answer.text})
            turns.append({"role": "user", "content": again})
    assert failure is not None
    raise failure


def no_room(model: TextModel, prompt_ids: Sequence[int], schema: Schema) -> ContextOverflowError:
    """Returns an error that says what of a prompt takes how much of the model's context."""
    n_image_tokens = prompt_ids.count(model.config.image.context_token_id)
    n_schema_tokens = len(model.tokenize(schema.text, special=False))
    return ContextOverflowError(
        "[schema] expected pages and a schema that leave room for an answer in the model's context "
        f"of {model.config.decoder.context_length} tokens; found {len(prompt_ids)}, of which the "
        f"schema takes {n_schema_tokens} and the pages take {n_image_tokens}; ask for fewer fields "
        "at once, shorten their descriptions, or read fewer pages or tiles"
    )


def check_complete(answer: Answer) -> None:
    """Raises `ExtractionError` where an answer was cut off: to ask again would end as it did."""
    n_tokens = len(answer.generation.ids)
    cut = _CUTS.get(answer.finish_reason)
    if cut is not None:
        raise ExtractionError(
            f"[extract] expected a complete object; found an answer cut off {cut[0]}, after "
            f"{n_tokens} tokens; {cut[1]}",
            answer.text,
        )


def _as_json(schema: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"[schema] expected what JSON can hold; found something else ({error}); correct it"
        ) from error
    return text


def _json_schema_validator(schema: Mapping[str, Any]) -> Callable[[Any], Any]:
    library = need("jsonschema", "extract", "pass a pydantic model")
    kind = library.validators.validator_for(schema)
    try:
        kind.check_schema(schema)
    except library.SchemaError as error:
        raise ValueError(
            f"[schema] expected a JSON schema; found {error.message}; correct it"
        ) from error
    _check_references(schema, kind.ID_OF(kind.META_SCHEMA))
    # The registry knows the standard's own schemas, and fetches none.
    validator = kind(schema, registry=_standard_schemas())

    def validate(value: Any) -> Any:
        for error in validator.iter_errors(value):
            raise ValueError(f"{error.json_path}: {error.message}")
        return value

    return validate


def _standard_schemas() -> Any:
    return importlib.import_module("jsonschema_specifications").REGISTRY


def _check_references(schema: Mapping[str, Any], dialect: str) -> None:
    """Raises ValueError where a schema refers to what neither it nor the standard holds."""
    referencing: Any = importlib.import_module("referencing")
    standard: Any = importlib.import_module("referencing.jsonschema")
    specification = standard.specification_with(dialect)
    root = specification.create_resource(schema)
    left: list[tuple[Any, Any]] = [(schema, _standard_schemas().resolver_with_root(root))]
    seen: set[int] = set()
    while left:
        part, resolver = left.pop()
        if id(part) in seen or not isinstance(part, Mapping):
            continue
        seen.add(id(part))
        for name in part.keys() & {"$ref", "$dynamicRef"}:
            try:
                found = resolver.lookup(str(part[name]))
            except (referencing.exceptions.Unresolvable, ValueError) as error:
                raise ValueError(
                    f"[schema] expected references into the schema itself; found {part[name]!r}; "
                    "put what it refers to under $defs"
                ) from error
            left.append((found.contents, found.resolver))
        for inner in specification.create_resource(part).subresources():
            left.append((inner.contents, resolver.in_subresource(inner)))
