"""Repetition is found by period and count, taken back, and written anew; the rest is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from crispvl import CrispOCR
from crispvl.engine.loop_detector import (
    MIN_FILLER_TOKENS,
    MIN_SHORT_TOKENS,
    MIN_TOKENS,
    Loop,
    LoopDetector,
)
from crispvl.engine.loop_repair import MIN_WARM_TOKENS, TEMPERATURES
from crispvl.engine.model import Model
from crispvl.model_config import ModelConfig
from crispvl.prompts.vocabulary import Vocabulary
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from .conftest import SPECIAL_IDS, FakeModel

END = SPECIAL_IDS["<|im_end|>"]


def detector() -> LoopDetector:
    return LoopDetector(lambda token_id: not chr(token_id).isalnum())


def first_loop(text: str) -> Loop | None:
    found = detector()
    loops = (found.push(ord(char)) for char in text)
    return next((loop for loop in loops if loop is not None), None)


@pytest.mark.parametrize("period", [1, 2, 7, 16, 40, 100, 250])
def test_a_loop_is_found_with_its_start_and_period(period: int) -> None:
    before = "Something else that was said first: "
    unit = "".join(chr(0x4E00 + i) for i in range(period))
    loop = first_loop(before + unit * (2 + 2000 // period))
    assert loop is not None
    assert (loop.start, loop.period) == (len(before) + period, period)
    assert (loop.count + 1) * period >= (MIN_TOKENS if period > 3 else MIN_SHORT_TOKENS)
    assert loop.count >= 4


def test_tables_of_dots_and_repeated_rows_are_left_alone() -> None:
    contents = "".join(f"Chapter {i} {'.' * (40 + i)} {i * 7}\n" for i in range(60))
    assert first_loop(contents) is None
    assert first_loop("| . | . | . |\n" * 50) is None
    assert first_loop("-" * (MIN_FILLER_TOKENS - 1)) is None
    assert first_loop("| 0 | 0 |\n" * 7) is None
    assert first_loop("." * MIN_FILLER_TOKENS) == Loop(1, 1, MIN_FILLER_TOKENS)


@given(st.text(alphabet="ab\n", max_size=63))
def test_short_texts_are_never_loops(text: str) -> None:
    assert first_loop(text) is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(97, 99), max_size=300), st.integers(0, 300))
def test_rewinding_is_as_if_the_rest_had_never_come(ids: list[int], n_tokens: int) -> None:
    fresh, rewound = detector(), detector()
    for token_id in ids:
        rewound.push(token_id)
    rewound.rewind(n_tokens)
    for token_id in ids[:n_tokens]:
        fresh.push(token_id)
    assert rewound.n_settled == fresh.n_settled
    for token_id in [97, 98] * 80:
        assert rewound.push(token_id) == fresh.push(token_id)


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ab", max_size=200))
def test_what_is_settled_no_loop_takes_back(text: str) -> None:
    found, settled = detector(), 0
    for char in text + "xy" * 100:
        loop = found.push(ord(char))
        if loop is not None:
            assert loop.start >= settled
            break
        assert found.n_settled >= settled
        settled = found.n_settled


def test_spaces_and_line_breaks_of_byte_level_vocabularies_are_no_letters() -> None:
    pieces = ["Ġ", "....", "ĠĊ", "▁|", "Ġa", "7", "é", "<|im_end|>"]
    metadata = {
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.token_type": [1] * 7 + [3],
    }
    tokenizer = {"bos_id": -1, "eos_id": 7, "add_bos": False, "vocab_size": 8}
    vocabulary = Vocabulary(metadata, ModelConfig({"tokenizer": tokenizer}))
    filler = [vocabulary.is_filler(i) for i in range(8)]
    assert filler == [True, True, True, True, False, False, False, False]


class LoopingModel(FakeModel):
    """Says something good, then the same over and over, unless it is warmed up enough."""

    good = b"Total: 12.50\n"
    loop = b"paid in cash "
    rest = b"and gone.\n"

    def __init__(self, heals_at: float) -> None:
        super().__init__()
        self.heals_at = heals_at
        self.config["decoder"]["context_length"] = 4096
        self.healed = False

    def next_token(self, written: list[int], sampler: Any) -> int:
        n_sane = len(self.good) + len(self.loop)
        if len(written) < n_sane:
            return (self.good + self.loop)[len(written)]
        if len(written) == n_sane:
            self.healed = sampler.temperature >= self.heals_at
        if self.healed:
            i = len(written) - n_sane
            return self.rest[i] if i < len(self.rest) else END
        return self.loop[(len(written) - len(self.good)) % len(self.loop)]


@pytest.mark.parametrize("attempt", range(len(TEMPERATURES)))
def test_a_loop_is_taken_back_and_written_anew_with_rising_temperature(
    page: Path, attempt: int
) -> None:
    core = LoopingModel(TEMPERATURES[attempt])
    ocr = with_core(core)
    document = ocr.recognize(page)
    assert document.text == "Total: 12.50\npaid in cash and gone.\n"
    assert document.flags == ("repetition",)
    assert document.finish_reason == "stop"
    generation = document.pages[0].generation
    assert generation is not None
    assert [repair.temperature for repair in generation.repairs] == [*TEMPERATURES[: attempt + 1]]
    first = generation.repairs[0]
    assert (first.start, first.period) == (len(core.good + core.loop), len(core.loop))
    assert first.n_removed >= MIN_TOKENS - len(core.loop)
    assert "".join(ocr.stream(page)) == document.text
    assert core.sampler.temperature == 0.0 or len(document.text) < first.start + 16


def test_the_penalty_looks_back_on_the_answer_whoever_wrote_it(page: Path) -> None:
    core = LoopingModel(TEMPERATURES[1])
    told: list[tuple[float, int]] = []
    answer = core.next_token

    def next_token(written: list[int], sampler: Any) -> int:
        if sampler.history is not None:
            n_kept = len(sampler.history)
            assert sampler.history == written[:n_kept]
            if not told or told[-1] != (sampler.temperature, n_kept):
                told.append((sampler.temperature, n_kept))
        return answer(written, sampler)

    core.next_token = next_token  # type: ignore[method-assign]
    core.rest = b"and gone, all of it, at last.\n"
    document = with_core(core).recognize(page, repetition_penalty=1.1)
    assert document.text == "Total: 12.50\npaid in cash and gone, all of it, at last.\n"
    start = len(core.good + core.loop)
    cold = (0.0, start + MIN_WARM_TOKENS)
    assert told == [(TEMPERATURES[0], start), cold, (TEMPERATURES[1], start), cold]


def test_a_loop_that_cannot_be_repaired_ends_the_answer_and_says_so(page: Path) -> None:
    core = LoopingModel(99.0)
    ocr = with_core(core)
    document = ocr.recognize(page)
    assert document.text == "Total: 12.50\npaid in cash "
    assert document.finish_reason == "repetition"
    assert document.flags == ("repetition", "truncated")
    assert document.to_dict()["pages"][0]["repairs"][-1]["temperature"] is None
    assert "".join(ocr.stream(page)) == document.text


def test_loops_stay_where_repair_is_off(page: Path) -> None:
    core = LoopingModel(99.0)
    document = with_core(core).recognize(page, repair_loops=False, max_tokens=600)
    assert len(document.text) == 600
    assert document.flags == ("truncated",)
    assert len(Model(core).generate([1], max_tokens=600).ids) == 600  # type: ignore[arg-type]


def test_a_loop_of_a_golden_checkpoint_is_taken_back(
    goldens: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real core
    pytest.importorskip("crispvl._core")
    from crispvl.convert import convert_checkpoint

    folder = next(folder for folder in goldens() if folder.name == "hf-qwen3")
    file = tmp_path / "model.gguf"
    convert_checkpoint(folder, file, dtype="f32")
    page = Image.open(Path(__file__).resolve().parents[2] / "examples" / "receipt.png")
    settings = {"max_tokens": 300, "max_tiles": 1}
    with CrispOCR(file, device="cpu") as ocr:
        looping = ocr.recognize(page, repair_loops=False, **settings)
        repaired = ocr.recognize(page, **settings)
        streamed = "".join(ocr.stream(page, **settings))
    assert looping.flags == ("low_confidence", "truncated")
    assert "repetition" in repaired.flags
    generation = repaired.generation
    assert generation is not None
    start = generation.repairs[0].start
    assert looping.generation is not None
    assert generation.ids[:start] == looping.generation.ids[:start]  # the good text is kept
    assert first_loop("".join(map(chr, generation.ids))) is None
    assert streamed == repaired.text


@pytest.fixture(autouse=True)
def _core_module(core: FakeModel) -> None:
    """Every test has the stand-in's module, whatever model it brings."""


def with_core(core: FakeModel) -> CrispOCR:
    return CrispOCR(Model(core))  # type: ignore[arg-type]
