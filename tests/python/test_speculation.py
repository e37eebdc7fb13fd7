"""Tokens that are guessed from earlier text: the same answers in fewer passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from crispvl import CrispOCR, Generation
from crispvl.engine.drafting import MAX_DRAFT, PAUSE_TOKENS, Drafter
from crispvl.engine.model import Model
from crispvl.engine.steps import MAX_ROWS

from .conftest import FakeModel

TABLE = "".join(f"<tr><td>{n}</td><td>0.00</td></tr>\n" for n in range(8))


@pytest.fixture
def passes(core: FakeModel, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Per pass, how many tokens each session appended."""
    import crispvl._core

    seen: list[list[int]] = []
    decode = crispvl._core.Session.decode_batch

    def decode_batch(sessions: list[Any], ids: list[list[int]], cancels: Any) -> None:
        seen.append([len(new) for new in ids])
        decode(sessions, ids, cancels)

    monkeypatch.setattr(crispvl._core.Session, "decode_batch", decode_batch)
    return seen


def test_groundedness_leaves_room_in_a_pass_for_the_answers_beside_it(
    core: FakeModel, passes: list[list[int]], page: Path
) -> None:
    core.answer = list(TABLE.encode())
    scores = [
        document.pages[0].groundedness
        for n_streams in (1, 12)
        for document in CrispOCR(page, image_cache_bytes=0).recognize_many(
            [page] * 12, streams=n_streams, groundedness=True
        )
    ]
    assert max(map(sum, passes)) == MAX_ROWS
    assert scores == pytest.approx([scores[0]] * 24)


def answer(model: Model, **settings: Any) -> Generation:
    return model.generate(model.tokenize("What?"), **settings)


def test_text_that_repeats_takes_fewer_passes(
    model: Model, core: FakeModel, passes: list[list[int]]
) -> None:
    core.answer = list(TABLE.encode())
    fast = answer(model)
    assert len(passes) < len(TABLE) / 2
    assert fast.timings.passes == len(passes)
    assert fast.timings.passes + fast.timings.guessed == len(TABLE)
    passes.clear()
    slow = answer(model, speculate=False)
    assert (slow.ids, slow.logprobs) == (fast.ids, fast.logprobs)
    assert passes == [[1]] * len(TABLE)
    assert slow.timings.guessed == 0


def test_text_that_repeats_the_prompt_takes_fewer_passes(
    model: Model, passes: list[list[int]]
) -> None:
    core: Any = model.core
    core.answer = list(b"The quick brown fox jumps over the lazy dog.")
    model.generate(model.tokenize("Say: The quick brown fox jumps over the lazy dog."))
    assert len(passes) < len(core.answer) / 2


def test_guesses_stay_within_the_tokens_that_are_wanted(
    model: Model, core: FakeModel, passes: list[list[int]]
) -> None:
    core.answer = list(TABLE.encode())
    for max_tokens in range(50, 60):
        found = answer(model, max_tokens=max_tokens)  # the stand-in's cache has no room for more
        assert found.text == TABLE[:max_tokens]


def test_wrong_guesses_leave_nothing_behind(ocr: CrispOCR, core: FakeModel) -> None:
    core.answer = list(b"abcdX abcdY abcdZ abcdX")
    turns = [{"role": "user", "content": "Spell"}]
    turns.append({"role": "assistant", "content": ocr.chat(turns).text})
    n_prompt = len(core.prompts[-1])
    ocr.chat([*turns, {"role": "user", "content": "Again"}])
    assert core.prompts[-1][: n_prompt + len(core.answer)] == [*core.prompts[0], *core.answer]


@pytest.fixture
def ocr(core: FakeModel) -> CrispOCR:
    return CrispOCR(Model(core))  # type: ignore[arg-type]


def test_a_loop_is_repaired_with_guesses_as_without(ocr: CrispOCR, core: FakeModel) -> None:
    from PIL import Image

    image = Image.new("L", (60, 28), 255)
    image.paste(0, (5, 8, 9, 20))

    def next_token(written: list[int], sampler: Any) -> int:
        if sampler.temperature > 0:
            return 256 + 2  # the end
        return [*b"Total: ", *b"loop " * 400][len(written)]

    core.next_token = next_token  # type: ignore[method-assign]
    core.config["decoder"]["context_length"] = 4096
    found = [ocr.recognize(image, speculate=speculate) for speculate in (True, False)]
    assert found[0].text == found[1].text
    assert found[0].flags == found[1].flags
    assert "repetition" in found[0].flags
    assert found[0].timings.passes < found[1].timings.passes / 2


def test_many_pages_leave_less_room_for_guesses(
    ocr: CrispOCR, core: FakeModel, passes: list[list[int]]
) -> None:
    from PIL import Image

    image = Image.new("L", (60, 28), 255)
    image.paste(0, (5, 8, 9, 20))
    core.answer = list(TABLE.encode())
    results = list(ocr.recognize_many([image] * 8, streams=8))
    assert [result.text for result in results] == [TABLE] * 8
    assert max(map(sum, passes)) <= MAX_ROWS
    assert max(len(rows) for rows in passes) == 8


def test_guesses_follow_the_last_place_where_the_text_stood() -> None:
    drafter = Drafter([1, 2, 3, 4, 9, 1, 2, 3, 5, 6, 7, 1, 2])
    assert drafter.draft(8) == []
    drafter.push(3)
    assert drafter.draft(8) == [5, 6]
    assert drafter.draft(1) == [5]
    drafter.rewind(8)
    assert drafter.draft(8) == [4, 9]


def test_guesses_go_on_with_a_loop() -> None:
    drafter = Drafter([7, 8] * 4)
    for _ in range(10):
        drafter.learn(8, 8)
    assert drafter.draft(100) == [7, 8] * (MAX_DRAFT // 2)


def test_guesses_grow_while_they_are_right_and_pause_when_they_are_wrong() -> None:
    drafter = Drafter([5] * 8)
    first = len(drafter.draft(8))
    for _ in range(6):
        drafter.learn(first, first)
    assert len(drafter.draft(8)) > first
    n_wrong = 0
    while drafter.draft(8):
        drafter.learn(0, 2)
        n_wrong += 1
    assert n_wrong < 6
    for _ in range(PAUSE_TOKENS):
        assert drafter.draft(8) == []
        drafter.push(5)
    assert len(drafter.draft(8)) == first
