"""What one can ask of a page: tasks, boxes, conversations that remember, objects of a schema."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from crispvl import Box, CrispOCR, ExtractionError
from crispvl.engine.constraint import JsonConstraint
from crispvl.engine.model import Model
from crispvl.errors import Cancelled, ContextOverflowError
from crispvl.options import Task
from crispvl.prompts.tasks import TASKS
from crispvl.reading.extraction import Schema
from crispvl.reading.json_answer import find_json
from crispvl.results.grounding import find_boxes
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from . import pdf_files
from .conftest import SPECIAL_IDS, FakeCancelToken, FakeModel


@pytest.fixture
def ocr(core: FakeModel, page: Path) -> CrispOCR:
    return CrispOCR(page)


def asked(core: FakeModel) -> str:
    return core.detokenize(core.prompts[-1]).decode()


@pytest.mark.parametrize("task", get_args(Task))
def test_every_task_has_a_prompt(ocr: CrispOCR, core: FakeModel, page: Path, task: Task) -> None:
    core.config["chat"]["prompt_text"] = None
    ocr.recognize(page, task=task)
    assert TASKS[task].prompt in asked(core)
    core.config["chat"][f"prompt_{task}"] = "As it was trained"
    ocr.recognize(page, task=task)
    assert "As it was trained" in asked(core)
    with pytest.raises(ValueError, match="task to be one of text, markdown"):
        ocr.recognize(page, task="poem")


def test_grounding_asks_for_a_reference_and_gives_pixel_boxes(
    ocr: CrispOCR, core: FakeModel, page: Path
) -> None:
    core.answer = core.tokenize(
        "<ref>the total</ref><box>[[500, 250, 1000, 750]]</box>", special=True
    )
    document = ocr.recognize(page, "the <box>total", task="grounding")
    prompt = core.prompts[-1]
    start, end = prompt.index(SPECIAL_IDS["<ref>"]), prompt.index(SPECIAL_IDS["</ref>"])
    assert bytes(prompt[start + 1 : end]) == b"the <box>total"  # a caller writes no special tokens
    (box,) = document.pages[0].boxes
    assert box == Box(label="the total", left=30, top=7, right=60, bottom=21)
    record = json.loads(json.dumps(document.to_dict()))["pages"][0]["boxes"]
    assert record == [{"label": "the total", "left": 30, "top": 7, "right": 60, "bottom": 21}]


def test_boxes_are_found_wherever_they_stand() -> None:
    text = (
        "Here: <ref> a </ref><box>[[0, 0, 10, 20], [990,1200,30,40]]</box> and "
        "<box>[1.5,2,3,4]</box> <box>[[1,2,3]]</box> <ref>cut</ref><box>[[1, 2, 3, 4]"
    )
    boxes = [(b.label, b.left, b.top, b.right, b.bottom) for b in find_boxes(text, 1000, 100)]
    assert boxes == [
        ("a", 0, 0, 10, 2), ("a", 30, 4, 990, 100), ("", 1.5, 0.2, 3, 0.4), ("cut", 1, 0.2, 3, 0.4)
    ]  # fmt: skip
    assert find_boxes("no boxes", 10, 10) == ()


@given(st.text(alphabet="<>/refbox[]0123456789, "))
def test_any_text_has_boxes_within_the_image_or_none(text: str) -> None:
    for box in find_boxes(f"<box>{text}</box>", 640, 480):
        assert 0 <= box.left <= box.right <= 640
        assert 0 <= box.top <= box.bottom <= 480


def turns(page: Any, *more: str) -> list[dict[str, Any]]:
    """A conversation about an image; user and assistant take turns from the third on."""
    first = [{"type": "image", "image": page}, {"type": "text", "text": "What is it?"}]
    roles = ["assistant", "user"] * len(more)
    return [{"role": "user", "content": first}] + [
        {"role": role, "content": text} for role, text in zip(roles, more, strict=False)
    ]


def test_a_follow_up_encodes_no_image_and_computes_only_what_is_new(
    ocr: CrispOCR, core: FakeModel, page: Path
) -> None:
    answer = ocr.chat(turns(page)).text
    assert core.n_encoded == 3
    first = core.prefilled[-1]
    ocr.chat(turns(page, answer, "Sure?"))
    assert core.n_encoded == 3
    assert core.prefilled[-1] < 60
    assert len(core.prompts[-1]) > first
    # The cache held exactly what a fresh session would.
    CrispOCR(page).chat(turns(page, answer, "Sure?"))
    assert core.prompts[-1] == core.prompts[-2]


def test_another_image_in_the_same_place_is_not_taken_for_the_first(
    ocr: CrispOCR, core: FakeModel, page: Path
) -> None:
    other = Image.open(page).rotate(180)
    ocr.chat(turns(page))
    ocr.chat(turns(other))
    assert core.n_encoded == 6
    ocr.chat(turns(page))  # its embeddings are still there, its KV cache is not
    assert core.n_encoded == 6
    assert core.prefilled[-1] > 12
    ocr.chat(turns(page))
    assert core.prefilled[-1] == 1


def test_of_two_images_only_the_new_one_is_encoded(
    ocr: CrispOCR, core: FakeModel, page: Path
) -> None:
    other = Image.open(page).rotate(180)
    ocr.chat(turns(page))
    both = turns(page)
    both[0]["content"].insert(1, {"type": "image", "image": other})
    ocr.chat(both)
    assert core.n_encoded == 6
    assert "Image-1: <img>" in asked(core)
    assert "Image-2: <img>" in asked(core)


def test_a_session_too_small_is_replaced(ocr: CrispOCR, core: FakeModel, page: Path) -> None:
    core.config["decoder"]["context_length"] = 100_000
    ocr.chat(turns(page), max_tokens=10)
    ocr.chat(turns(page), max_tokens=5000)  # the stand-in asserts that there is room
    assert core.n_encoded == 3


def test_a_cancelled_answer_leaves_the_conversation_usable(
    ocr: CrispOCR, core: FakeModel, page: Path
) -> None:
    cancel: Any = FakeCancelToken()
    stream = ocr.chat_stream(turns(page), cancel=cancel)
    next(stream)
    cancel.cancel()
    with pytest.raises(Cancelled):
        next(stream)
    assert ocr.chat(turns(page)).text == "Hello"
    assert core.n_encoded == 3


def test_conversations_of_several_threads_do_not_mix(
    ocr: CrispOCR, core: FakeModel, page: Path
) -> None:
    texts: list[str] = []

    def talk(i: int) -> None:
        for _ in range(5):
            texts.append(ocr.chat(turns(page, "Yes.", f"And {i}?")).text)

    threads = [threading.Thread(target=talk, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["Hello"] * 30


SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "number"}, "shop": {"type": ["string", "null"]}},
    "required": ["total", "shop"],
}


def test_extraction_gives_an_object_of_the_schema(
    ocr: CrispOCR, core: FakeModel, page: Path
) -> None:
    pytest.importorskip("jsonschema")
    core.config["decoder"]["context_length"] = 8192
    core.answer = list(b'Sure:\n```json\n{"total": 12.5, "shop": null}\n```')
    assert ocr.extract(page, SCHEMA, "Read the receipt.", constrained=False) == {
        "total": 12.5,
        "shop": None,
    }
    assert "Read the receipt." in asked(core)
    assert '"required": ["total", "shop"]' in asked(core)


def test_a_wrong_answer_is_told_so_and_asked_again(
    ocr: CrispOCR, core: FakeModel, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pydantic = pytest.importorskip("pydantic")
    core.config["decoder"]["context_length"] = 8192
    Receipt = pydantic.create_model("Receipt", total=(float, ...))  # noqa: N806
    answers = [b"twelve", b'{"total": "much"}', b'{"total": 12}']
    end = SPECIAL_IDS["<|im_end|>"]

    def answer(written: list[int], sampler: Any) -> int:
        text = answers[len(core.prompts) - 1]
        return text[len(written)] if len(written) < len(text) else end

    monkeypatch.setattr(core, "next_token", answer)
    assert ocr.extract(page, Receipt, constrained=False) == Receipt(total=12.0)
    assert "no JSON was found" in asked(core)
    assert core.n_encoded == 3  # asking again is cheap

    answers[:] = [b"twelve"] * 9
    with pytest.raises(ExtractionError, match="expected JSON that follows the schema") as caught:
        ocr.extract(page, Receipt, constrained=False)
    assert caught.value.answer == "twelve"


def test_extraction_sees_all_pages_of_a_document(ocr: CrispOCR, core: FakeModel) -> None:
    pytest.importorskip("jsonschema")
    core.config["decoder"]["context_length"] = 8192
    core.answer = list(b"[1, 2]")
    pages = pdf_files.pdf([Image.new("L", (28, 28), 9), Image.new("L", (28, 28), 99)])
    assert ocr.extract(pages, {"type": "array"}, dpi=72, constrained=False) == [1, 2]
    assert asked(core).count("<img>") == 2


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_constrained_answer_follows_the_schema_whatever_the_model_would_say(
    ocr: CrispOCR, core: FakeModel, page: Path, temperature: float
) -> None:
    pytest.importorskip("llguidance")
    pytest.importorskip("jsonschema")
    core.config["decoder"]["context_length"] = 8192
    core.answer = list(b"I would rather talk.")
    schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["receipt", "letter"]},
            "paid": {"type": "boolean"},
            "total": {"type": "integer", "minimum": 0, "maximum": 99},
        },
        "required": ["kind", "paid", "total"],
        "additionalProperties": False,
    }
    found = ocr.extract(page, schema, temperature=temperature, seed=3)
    assert found["kind"] in ("receipt", "letter")
    assert isinstance(found["paid"], bool)
    assert 0 <= found["total"] <= 99
    assert len(core.prompts) == 1


ITEM = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
RECEIPT = {**ITEM, "properties": {"items": {"type": "array", "items": ITEM}, **ITEM["properties"]}}
CUT_OFF = b'{"items": [{"total": 1}, {"total": 2}], "to'


@pytest.mark.parametrize("constrained", [True, False])
def test_an_answer_that_was_cut_off_is_an_error_that_names_max_tokens_and_asks_once(
    ocr: CrispOCR, core: FakeModel, page: Path, constrained: bool
) -> None:
    pytest.importorskip("llguidance")
    pytest.importorskip("jsonschema")
    core.config["decoder"]["context_length"] = 8192
    core.answer = list(CUT_OFF)
    n_before = len(core.prompts)
    with pytest.raises(ExtractionError, match="after 7 tokens; raise max_tokens"):
        ocr.extract(page, RECEIPT, max_tokens=7, constrained=constrained)
    with pytest.raises(ExtractionError, match="raise max_tokens") as caught:
        ocr.extract(page, RECEIPT, max_tokens=len(CUT_OFF), constrained=False)
    assert caught.value.answer == CUT_OFF.decode()
    assert len(core.prompts) == n_before + 2


def test_without_room_to_ask_again_the_answer_is_what_is_wrong(
    ocr: CrispOCR, core: FakeModel, page: Path
) -> None:
    pytest.importorskip("jsonschema")
    core.answer = list(b"No idea.")
    core.config["decoder"]["context_length"] = len(json.dumps(RECEIPT)) + 300
    with pytest.raises(ExtractionError, match="no JSON was found"):
        ocr.extract(page, RECEIPT, constrained=False)
    assert len(core.prompts) == 1
    core.config["decoder"]["context_length"] = 100
    with pytest.raises(ContextOverflowError):
        ocr.extract(page, RECEIPT, constrained=False)


def test_a_schema_without_room_in_the_context_is_told_with_its_share(
    ocr: CrispOCR, core: FakeModel, page: Path
) -> None:
    schema = {"type": "object", "description": "x" * 5000}
    core.config["decoder"]["context_length"] = 4000
    n_schema = len(json.dumps(schema))  # a token is a byte
    with pytest.raises(ContextOverflowError) as caught:
        ocr.extract(page, schema, constrained=False)
    assert f"of which the schema takes {n_schema} and" in str(caught.value)
    assert "ask for fewer fields" in str(caught.value)
    assert not core.prompts


def test_a_constraint_takes_the_likeliest_token_that_is_allowed(model: Model) -> None:
    pytest.importorskip("llguidance")
    constraint = JsonConstraint(model, {"enum": [1, 23]})
    logits = np.zeros(272, np.float32)
    logits[[ord("9"), ord("2")]] = 9, 5
    token_id, logprob = constraint.sample(logits)
    assert token_id == ord("2")
    expected = 5 - np.log(np.exp(np.float64(9)) + np.exp(np.float64(5)) + 270)
    assert logprob == pytest.approx(expected)
    assert constraint.sample(logits)[0] == ord("3")
    assert constraint.sample(logits)[0] in model.vocabulary.stop_ids
    with pytest.raises(ValueError, match="a JSON schema or a regular expression"):
        JsonConstraint(model, {"type": "nonsense"})


ENDLESS: list[dict[str, Any]] = [
    {"$ref": "#"},
    {"properties": {"a": {"$ref": "#"}}, "required": ["a"], "type": "object"},
]


@pytest.mark.parametrize("schema", ENDLESS)
def test_a_schema_without_an_end_is_refused_without_the_librarys_state(
    model: Model, schema: dict[str, Any]
) -> None:
    pytest.importorskip("llguidance")
    constraint = JsonConstraint(model, schema)
    with pytest.raises(ValueError, match=r"^\[schema\] expected .*; found .*; simplify") as caught:
        list(map(constraint.sample, np.zeros((2, 272), np.float32)))
    found = str(caught.value).partition("; found ")[2]
    assert " " in found.partition("; simplify")[0]
    assert "<state>" not in found


def test_a_schema_is_checked(ocr: CrispOCR, page: Path) -> None:
    pytest.importorskip("jsonschema")
    with pytest.raises(TypeError, match="a JSON schema as a dict"):
        ocr.extract(page, "total")
    with pytest.raises(ValueError, match="expected a JSON schema"):
        ocr.extract(page, {"type": "nonsense"})
    with pytest.raises(ExtractionError, match=r"\$.total: 'x' is not of type 'number'"):
        Schema(SCHEMA).parse('{"total": "x", "shop": "y"}')


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def in_itself() -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    return schema | {"properties": schema.setdefault("properties", {"a": schema})}


UNUSABLE: dict[str, dict[str, Any]] = {
    "nested": nested(5000),
    "in itself": in_itself(),
    "bytes": {"const": b"x"},
    "no number": {"const": float("nan")},
    "no character": {"const": "\udcff"},
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_schema_that_cannot_be_used_is_refused_in_words(kind: str) -> None:
    pytest.importorskip("jsonschema")
    with pytest.raises(ValueError, match=r"^\[schema\] expected .*; found .*; "):
        Schema(UNUSABLE[kind])


@pytest.mark.parametrize("schema", [nested(300), {"maximum": 10**400}, {"const": "\udcff"}])
def test_a_schema_that_constrains_nothing_is_refused_in_words(
    model: Model, schema: dict[str, Any]
) -> None:
    pytest.importorskip("llguidance")
    with pytest.raises(ValueError, match=r"^\[schema\] expected .*; found .*; "):
        JsonConstraint(model, schema)


REFERENCES: list[dict[str, Any]] = [
    {"$ref": "#/$defs/missing"},
    {"properties": {"a": {"items": {"$ref": "http://127.0.0.1:1/a.json"}}}},
    {"$ref": "#/shapes/a", "shapes": {"a": {"not": {"$ref": "file:///etc/hostname"}}}},
]


@pytest.mark.parametrize("schema", REFERENCES)
def test_what_a_schema_refers_to_stands_in_it_and_is_never_fetched(
    schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jsonschema")
    fetched: list[Any] = []
    monkeypatch.setattr("urllib.request.urlopen", fetched.append)
    with pytest.raises(ValueError, match=r"\[schema\] expected references into the schema"):
        Schema(schema)
    assert fetched == []


def test_references_within_a_schema_may_go_in_circles() -> None:
    pytest.importorskip("jsonschema")
    tree = {"type": "object", "properties": {"leaf": {"$ref": "#/$defs/tree"}}}
    schema = Schema({"$id": "http://127.0.0.1:1/tree", "$ref": "#/$defs/tree",
                     "$defs": {"tree": tree}})  # fmt: skip
    assert schema.parse('{"leaf": {"leaf": {}}}') == {"leaf": {"leaf": {}}}
    with pytest.raises(ExtractionError, match=r"\$.leaf.leaf: 1 is not of type 'object'"):
        schema.parse('{"leaf": {"leaf": 1}}')


@pytest.mark.parametrize("text", ["[" * 3000, '{"a":' * 3000, "x\n" + "[" * 3000])
def test_json_that_is_nested_too_deeply_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        find_json(text)


def test_an_answer_nested_too_deeply_for_its_schema_does_not_follow_it() -> None:
    pytest.importorskip("jsonschema")
    schema = Schema({"items": {"$ref": "#"}})
    with pytest.raises(ExtractionError, match="expected JSON that follows the schema"):
        schema.parse("[" * 400 + "]" * 400)


@pytest.mark.parametrize(
    "text", ['{"a": [1]}', '```json\n{"a": [1]}\n```', 'It is {"a": [1]}, see {below}.',
             'Set {x} is {"a": [1]}', '```\n{"a": [1]}'],
)  # fmt: skip
def test_json_is_found_in_what_models_write(text: str) -> None:
    assert find_json(text) == {"a": [1]}


@pytest.mark.parametrize(
    "text",
    ['{"items": [{"a": 1}', '{"items": [{"a": 1}], "b": }', 'So: {"items": {"a": 1}, and',
     '<think>{"a": 1}</think>', '<think>Perhaps {"a": 1}', 'Perhaps {"a": 1}</think>No.',
     "As in [1], nothing.", "See [1] and [2, 3].", '```json\n{"a": 1}\n```\nNo:\n```json\n{"a": [',
     '{"a: 1} {"b": {"a": 1}', '{"a": NaN}', 'It is {"a": -Infinity}.', '{"a": 1e999}'],
)  # fmt: skip
def test_what_is_within_a_broken_value_or_a_draft_or_prose_is_no_answer(text: str) -> None:
    with pytest.raises(ValueError, match="no JSON was found"):
        find_json(text)


@pytest.mark.parametrize(
    "text",
    ['<think>{"a": 1}</think>{"a": 2}', 'It could be {"a": 1}.</think>\n{"a": 2}',
     '```json\n{"a": 1}\n```\nCorrected:\n```json\n{"a": 2}\n```', '{"a": 1}, no: {"a": 2}',
     'As [1] and {x} say:\n{"a": 2}\n[2] is a source.', '{"a": {"a": }} and {"a": 2}',
     '```python\nprint({"a": 1})\n```\n{"a": 2}',
     '{"a": 2}\n```python\nprint({"a": 1})\n```',
     '```json\n{"a": 2}\n```\n```python\nprint({"a": 1})\n```'],
)  # fmt: skip
def test_the_last_complete_object_is_the_answer(text: str) -> None:
    assert find_json(text) == {"a": 2}


def test_a_list_is_an_answer_where_it_has_its_lines_to_itself() -> None:
    assert find_json("The numbers [1]:\n[2,\n 3]\n") == [2, 3]
    assert find_json('{"a": "</think>"}') == {"a": "</think>"}


def test_half_a_surrogate_pair_is_no_json() -> None:
    assert find_json(r'{"a": "\ud83d\ude00"}') == {"a": "\U0001f600"}
    with pytest.raises(ValueError, match="expected Unicode characters"):
        find_json(r'{"a": "\ud83d"}')
