"""Models that think before they answer: what they think is kept apart, layouts become regions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from crispvl import CrispOCR
from crispvl.cli import main
from crispvl.engine.answer_parts import AnswerParts
from crispvl.engine.transcript import Transcript
from crispvl.model_config import ModelConfig
from crispvl.prompts.vocabulary import Vocabulary
from crispvl.results.grounding import find_boxes
from crispvl.results.regions import find_regions
from hypothesis import given
from hypothesis import strategies as st

from . import conftest
from .conftest import FakeModel

MARKS = ["<think>", "</think>", "<COORD_0>", "<COORD_250>", "<COORD_500>", "<COORD_999>"]

LAYOUT = (
    "<box>[[<COORD_0>,<COORD_250>,<COORD_999>,<COORD_500>]]</box>\n<label>doc_title</label>\n"
    "<brief>The title</brief>\n<box>[[<COORD_0>,<COORD_500>,<COORD_500>,<COORD_999>]]</box>\n"
    "<label>image</label>\n"
)


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> FakeModel:
    """The stand-in with the tokens of a model that thinks in layouts."""
    special = [*conftest.SPECIAL, *MARKS]
    monkeypatch.setattr(conftest, "SPECIAL", special)
    monkeypatch.setattr(conftest, "SPECIAL_IDS", {s: 256 + i for i, s in enumerate(special)})
    model: FakeModel = request.getfixturevalue("thinking_core")
    return model


thinking_core = conftest.core  # the same fixture, made after the tokens are there


def asked(core: FakeModel) -> str:
    return core.detokenize(core.prompts[-1]).decode()


@pytest.mark.parametrize("opening", ["<think>\n", "<think>"])
def test_a_thought_is_no_text_and_its_layout_becomes_regions(
    opening: str, core: FakeModel, page: Path
) -> None:
    core.answer = core.tokenize(f"{opening}{LAYOUT}</think>\n\n# Title\n", special=True)
    document = CrispOCR(page).recognize(page)
    (read,) = document.pages
    assert read.text == "# Title\n"
    assert read.thought == LAYOUT.strip()
    assert [word.text for word in read.words] == ["#", "Title"]
    assert read.boxes == ()
    assert [(r.label, tuple(map(round, r.box)), r.summary) for r in read.regions] == [
        ("doc_title", (0, 7, 60, 14), "The title"),
        ("image", (0, 14, 30, 28), ""),
    ]
    record = json.loads(json.dumps(document.to_dict()))["pages"][0]
    assert record["thought"] == LAYOUT.strip()
    assert record["regions"][1]["label"] == "image"


def test_what_is_streamed_is_the_text_alone(core: FakeModel, page: Path) -> None:
    core.answer = core.tokenize("<think>Hm.</think> Yes", special=True)
    stream = CrispOCR(page).stream(page)
    assert "".join(stream) == stream.result.text == "Yes"


def test_a_thought_that_never_ends_is_no_text(core: FakeModel, page: Path) -> None:
    core.answer = core.tokenize("<think>Hm.", special=True)
    (read,) = CrispOCR(page).recognize(page).pages
    assert (read.text, read.thought) == ("", "Hm.")


def test_boxes_of_the_answer_are_found_and_read_as_numbers(core: FakeModel, page: Path) -> None:
    box = "<box>[[<COORD_0>,<COORD_250>,<COORD_500>,<COORD_999>]]</box>"
    core.answer = core.tokenize(f"<think>{LAYOUT}</think>![image]({box})", special=True)
    (read,) = CrispOCR(page).recognize(page).pages
    assert read.text == "![image]([[0,250,500,999]])"
    (found,) = read.boxes
    assert (found.left, found.bottom) == (0, 28)
    assert found.right == pytest.approx(60 * 500 / 999)


def test_thinking_is_asked_for_where_the_format_has_no_switch(core: FakeModel, page: Path) -> None:
    ocr = CrispOCR(page)
    ocr.recognize(page, "What <think> is it?", thinking=True)
    prompt = core.prompts[-1]
    mark = conftest.SPECIAL_IDS["<think>"]
    assert asked(core).endswith("is it?<think><|im_end|>\n<|im_start|>assistant\n")
    assert prompt.count(mark) == 1  # a caller's text writes no special tokens
    ocr.recognize(page, "What?")
    assert mark not in core.prompts[-1]


def test_the_templates_switch_is_used(core: FakeModel, page: Path) -> None:
    core.config["chat"] |= {
        "template": "",
        "jinja": "{% for m in messages %}{{ m.content }}{% endfor %}"
        "{% if enable_thinking is not defined %}as it is"
        "{% elif enable_thinking %}<think>{% else %}no{% endif %}",
    }
    core.answer = core.tokenize("Hm.</think>Yes", special=True)
    ocr = CrispOCR(page)
    (read,) = ocr.recognize(page, thinking=True).pages
    assert asked(core).endswith("<think>")
    assert (read.text, read.thought) == ("Yes", "Hm.")
    core.answer = core.tokenize("Yes", special=True)
    for thinking, end in ((False, "no"), (None, "as it is")):
        assert ocr.recognize(page, thinking=thinking).text == "Yes"
        assert asked(core).endswith(end)


def test_an_asked_thought_may_begin_with_its_first_box(core: FakeModel, page: Path) -> None:
    core.answer = core.tokenize(f"{LAYOUT}</think>Yes", special=True)
    (read,) = CrispOCR(page).recognize(page, thinking=True).pages
    assert (read.text, len(read.regions)) == ("Yes", 2)
    core.answer = core.tokenize("Yes", special=True)
    assert CrispOCR(page).recognize(page, thinking=True).text == "Yes"


def test_a_chat_answer_keeps_its_thought_apart(core: FakeModel, page: Path) -> None:
    core.answer = core.tokenize("<think>Hm.</think>Yes", special=True)
    answer = CrispOCR(page).chat([{"role": "user", "content": "Is it?"}])
    assert (answer.text, answer.thought, answer.to_dict()["thought"]) == ("Yes", "Hm.", "Hm.")


def test_a_model_that_cannot_think_is_not_asked_to(
    core: FakeModel, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core.metadata["tokenizer.ggml.tokens"] = core.metadata["tokenizer.ggml.tokens"][: -len(MARKS)]
    core.metadata["tokenizer.ggml.token_type"] = [1] * 256 + [3] * 10
    with pytest.raises(ValueError, match="expected a model that thinks"):
        CrispOCR(page).recognize(page, thinking=True)
    assert CrispOCR(page).recognize(page, thinking=False).text == "Hello"
    assert main(["recognize", str(page), "-m", str(page), "--thinking"]) == 2
    assert "enable_thinking" in capsys.readouterr().err


HARMONY = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>"]


def harmony(text: str) -> Transcript:
    """What becomes of an answer in gpt-oss's format, whose bytes are tokens."""
    config = ModelConfig(
        {"tokenizer": {"bos_id": -1, "eos_id": 260, "add_bos": False, "vocab_size": 261}}
    )
    tokens = [chr(i) for i in range(256)] + HARMONY
    types = [1] * 256 + [3] * len(HARMONY)
    metadata = {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}

    def to_bytes(ids: list[int]) -> bytes:
        return b"".join(bytes([i]) if i < 256 else HARMONY[i - 256].encode() for i in ids)

    vocabulary = Vocabulary(metadata, config)
    transcript = Transcript(to_bytes, AnswerParts(vocabulary, to_bytes), vocabulary.coordinates)
    while text:
        mark = next((m for m in HARMONY if text.startswith(m)), text[0])
        token_id = 256 + HARMONY.index(mark) if mark in HARMONY else ord(mark)
        transcript.append(token_id, 0.0)
        text = text.removeprefix(mark)
    transcript.finish()
    return transcript


def test_harmonys_analysis_is_a_thought_and_its_headers_are_nothing() -> None:
    answer = (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes"
    )
    written = harmony(answer)
    assert (written.text, written.thought) == ("Yes", "Hm.")
    written.rewind(len(written) - 1)
    assert (written.text, written.thought) == ("Ye", "Hm.")
    assert harmony("<|channel|>final<|message|>Yes").text == "Yes"


@given(st.text(alphabet=" \n\tHm."), st.text(alphabet=" \nHm."))
def test_what_comes_of_a_thought_piece_by_piece_is_the_thought(first: str, second: str) -> None:
    analysis = "<|channel|>analysis<|message|>"
    written = harmony(
        f"{analysis}{first}<|end|><|start|>assistant{analysis}{second}<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Yes"
    )
    assert "".join(written.thoughts) == written.thought == (first + second).strip()
    assert len(written.thoughts) == len(written.ids)


def test_a_thought_cut_within_a_character_ends_in_the_sign_for_it() -> None:
    written = harmony("<|channel|>analysis<|message|>Hm. \xe2")
    assert (written.thought, written.thought_rest) == ("Hm. \ufffd", " \ufffd")


def test_an_entry_that_is_cut_off_is_no_region() -> None:
    whole = find_regions(LAYOUT, 100, 100)
    assert len(whole) == 2
    assert find_regions(LAYOUT + "<box>[[<COORD_0>,<COORD_1>", 100, 100) == whole
    assert find_regions(LAYOUT + "<box>[[<COORD_0>]]</box><label>text</label>", 100, 100) == whole
    assert find_regions("<layout>" + LAYOUT + "</layout>", 100, 100) == whole


def test_numbers_and_tokens_of_coordinates_have_scales_of_their_own() -> None:
    numbers, tokens = (
        find_boxes(f"<box>[[{','.join(c)}]]</box>", 999, 1000)[0]
        for c in (["500", "0", "1000", "999"], [f"<COORD_{n}>" for n in ("500", "000", "999", "7")])
    )
    assert (numbers.left, numbers.right, numbers.bottom) == (499.5, 999, 999)
    assert (tokens.left, tokens.right) == (pytest.approx(500), 999)


@given(st.text(alphabet="<>/boxlabe[]COORD_0123456789, "))
def test_any_thought_has_regions_within_the_page_or_none(text: str) -> None:
    for region in find_regions(f"<box>{text}</box><label>text</label>", 640, 480):
        assert 0 <= region.box.left <= region.box.right <= 640
        assert 0 <= region.box.top <= region.box.bottom <= 480
