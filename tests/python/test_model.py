"""The low level checks what goes in and reports what comes out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from crispvl.engine.detokenizer import StreamingDetokenizer
from crispvl.engine.model import Model
from crispvl.engine.token_stream import Token
from crispvl.errors import Cancelled, ContextOverflowError
from crispvl.model_config import ModelConfig
from crispvl.options import GenerateOptions, LoadOptions, ReadOptions
from crispvl.prompts.vocabulary import Vocabulary
from crispvl.results.generation import Confidence
from hypothesis import given
from hypothesis import strategies as st

from .conftest import SPECIAL_IDS, TILE_PX, TOKENS_PER_TILE, FakeCancelToken, FakeModel

IMG = SPECIAL_IDS["<IMG_CONTEXT>"]
TILES = np.zeros((2, TILE_PX, TILE_PX, 3), np.uint8)


def test_generation_stops_at_the_end_token_and_leaves_it_out(model: Model) -> None:
    generation = model.generate(list(b"Hi"))
    assert generation.text == "Hello"
    assert generation.ids == list(b"Hello")
    assert generation.logprobs == [-0.25] * 5
    assert generation.stop_logprob == -0.25
    assert generation.finish_reason == "stop"
    assert generation.n_prompt_tokens == 2
    assert generation.confidence.mean == pytest.approx(math.exp(-0.25))
    assert generation.confidence.n_tokens == 6
    assert set(generation.timings.to_dict()) == {
        "image_ms", "encode_ms", "prefill_ms", "decode_ms", "total_ms", "passes", "guessed"
    }  # fmt: skip


def test_generation_goes_on_after_the_end_token_when_told_so(model: Model, core: FakeModel) -> None:
    core.answer = [*b"He", SPECIAL_IDS["<|im_end|>"], *b"llo"]
    generation = model.generate([1], stop_at_eos=False, max_tokens=6)
    assert generation.ids == core.answer
    assert generation.text == "Hello"  # special tokens are no text
    assert generation.finish_reason == "length"
    assert generation.stop_logprob is None


def test_max_tokens_and_the_context_bound_the_answer(model: Model, core: FakeModel) -> None:
    assert model.generate([1], max_tokens=3).text == "Hel"
    core.answer = [65] * 600
    generation = model.generate([1] * 510)
    assert (len(generation.ids), generation.finish_reason) == (2, "length")


def test_a_prompt_longer_than_the_context_says_what_fits(model: Model) -> None:
    tiles = np.zeros((100, TILE_PX, TILE_PX, 3), np.uint8)
    with pytest.raises(ContextOverflowError) as caught:
        model.generate([1] * 200 + [IMG] * 400, tiles)
    message = str(caught.value)
    assert "expected at most 511 positions" in message
    assert "found 600, from 600 tokens, 400 of them image tokens" in message
    assert "lower max_tiles (4 tokens per tile)" in message
    with pytest.raises(ContextOverflowError):
        model.generate([1] * 512)


def test_sampling_options_reach_the_core(model: Model, core: FakeModel) -> None:
    model.generate([1], temperature=0.5, top_k=3, seed=7)
    assert vars(core.sampler) == {
        "temperature": 0.5, "top_k": 3, "top_p": 1.0, "min_p": 0.0, "seed": 7,
        "repetition_penalty": 1.0, "repetition_window": 0,
    }  # fmt: skip


def test_tiles_are_encoded_once_and_spliced(model: Model, core: FakeModel) -> None:
    seen: list[tuple[int, int]] = []
    prompt = [1, *[IMG] * (2 * TOKENS_PER_TILE), 2]
    model.generate(prompt, TILES, progress=lambda *done: seen.append(done))
    assert (core.n_encoded, core.prompts, seen) == (2, [prompt], [(2, 2)])


def test_on_token_sees_every_token(model: Model) -> None:
    seen: list[Token] = []
    model.generate([1], on_token=seen.append)
    assert [token.text for token in seen] == list("Hello")
    assert [token.id for token in seen] == list(b"Hello")


def test_an_unfinished_last_character_is_reported(model: Model, core: FakeModel) -> None:
    core.answer = [*b"a", 0xE2, 0x82]
    stream = model.stream([1])
    assert [(t.id, t.text) for t in stream] == [(97, "a"), (0xE2, ""), (0x82, ""), (None, "�")]
    assert stream.generation.text == "a�"


def test_cancelling_keeps_what_was_generated(model: Model) -> None:
    cancel: Any = FakeCancelToken()
    stream = model.stream([1], cancel=cancel)
    assert next(stream).text == "H"
    cancel.cancel()
    with pytest.raises(Cancelled) as caught:
        next(stream)
    assert caught.value.partial.text == "H"
    assert caught.value.partial.finish_reason == "cancelled"


def test_a_closed_stream_ends(model: Model) -> None:
    stream = model.stream([1])
    next(stream)
    stream.close()
    assert list(stream) == []
    assert stream.generation.finish_reason == "cancelled"


@pytest.mark.parametrize(
    ("prompt", "tiles", "error"),
    [
        ([], None, ValueError),
        ([-1], None, ValueError),
        ([272], None, ValueError),
        ([IMG], None, ValueError),
        ([1], TILES, ValueError),
        ([1], TILES.astype(np.float32), TypeError),
        ([1], TILES[0], ValueError),
        ([1], TILES[:0], ValueError),
        ([1], TILES[:, :14], ValueError),
        ([1], TILES.tolist(), TypeError),
    ],
)
def test_prompts_and_tiles_that_do_not_fit_are_refused(
    model: Model, prompt: list[int], tiles: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"expected.*; found .*; "):
        model.generate(prompt, tiles)


def test_vocabulary_without_weights_tokenises_but_does_not_generate(core: FakeModel) -> None:
    model = Model(core, vocab_only=True)  # type: ignore[arg-type]
    assert model.detokenize(model.tokenize("a<img>")) == "a<img>"
    assert len(model.tokenize("<img>", special=True)) == 1
    assert len(model.tokenize("<img>", special=False)) == 5
    with pytest.raises(ValueError, match="loaded with vocab_only"):
        model.generate([1])


def test_a_text_with_surrogates_is_refused(model: Model) -> None:
    with pytest.raises(
        ValueError, match=r"\[text\] .* found '\\udcff' at 1; decode the text as UTF-8"
    ):
        model.tokenize("a\udcff")


def test_load_passes_its_arguments_on(core: FakeModel, page: Any) -> None:
    Model.load(page, mmproj=page, device="cpu", threads=3, vocab_only=True)
    assert core.loaded_with[:4] == (str(page), str(page), "cpu", 3)
    assert core.loaded_with[4:] == (True, False, None, 0.0, (), "auto", True)
    with pytest.raises(ValueError, match="expected threads to be at least 1"):
        Model.load(page, threads=0)
    with pytest.raises(FileNotFoundError):
        Model.load("nowhere.gguf")


@given(st.text(), st.lists(st.integers(0, 255)), st.booleans())
def test_streamed_text_equals_the_whole_text(text: str, noise: list[int], drop: bool) -> None:
    def to_bytes(ids: list[int]) -> bytes:  # like SentencePiece, drops the first token's space
        return b"".join(b" " * (drop and i > 0) + bytes([token]) for i, token in enumerate(ids))

    ids = [*text.encode(), *noise]
    detokenizer = StreamingDetokenizer(to_bytes)
    streamed = "".join(detokenizer.push(token) for token in ids) + detokenizer.finish()
    assert streamed == to_bytes(ids).decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ({"max_tokens": 0}, ValueError),
        ({"max_tokens": 1.5}, TypeError),
        ({"max_tokens": True}, TypeError),
        ({"temperature": -1}, ValueError),
        ({"temperature": float("nan")}, ValueError),
        ({"temperature": "hot"}, TypeError),
        ({"top_p": 0}, ValueError),
        ({"min_p": 1.1}, ValueError),
        ({"temperature": 10**400}, ValueError),
        ({"max_tiles": 2, "min_tiles": 5}, ValueError),
        ({"seed": -1}, ValueError),
        ({"repetition_penalty": 0}, ValueError),
        ({"stop_at_eos": 1}, TypeError),
        ({"task": "poem"}, ValueError),
        ({"max_tiles": 0}, ValueError),
        ({"unknown": 1}, TypeError),
    ],
)
def test_options_out_of_range_are_refused(setting: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        ReadOptions(**setting)


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("temperature", 100, True), ("temperature", 100.01, False), ("temperature", -0.1, False),
        ("top_k", 2**63 - 1, True), ("top_k", 2**63, False), ("top_k", 2**70, False),
        ("top_p", 1, True), ("top_p", 1e-44, True), ("top_p", 1e-50, False),
        ("min_p", 0.99, True), ("min_p", 1.0, False), ("min_p", 1 - 1e-12, False),
        ("seed", 2**64 - 1, True), ("seed", 2**64, False),
        ("repetition_penalty", 100, True), ("repetition_penalty", 100.01, False),
        ("repetition_penalty", 1e-60, False),
        ("repetition_window", 2**63 - 1, True), ("repetition_window", 2**64, False),
    ],
)  # fmt: skip
def test_options_are_refused_where_the_sampler_refuses_them(
    name: str, value: float, valid: bool
) -> None:
    core = pytest.importorskip("crispvl._core")
    assert accepts(core.Sampler, name, value) == valid
    assert accepts(GenerateOptions, name, value) == valid


def accepts(make: Any, name: str, value: float) -> bool:
    try:
        make(**{name: value})
    except (ValueError, TypeError):
        return False
    return True


def test_default_options_are_greedy_and_immutable() -> None:
    options = GenerateOptions()
    assert (options.temperature, options.repetition_penalty) == (0.0, 1.0)
    with pytest.raises(AttributeError):
        options.seed = 1  # type: ignore[misc]
    assert LoadOptions().threads is None


def test_confidence_is_the_geometric_mean_of_the_probabilities() -> None:
    confidence = Confidence.of([math.log(0.9), math.log(0.4)])
    assert confidence.mean == pytest.approx(0.6)
    assert confidence.lowest == pytest.approx(0.4)
    assert (confidence.n_doubtful, confidence.n_tokens) == (1, 2)
    assert Confidence.of([]).mean == 0.0


def test_special_tokens_are_found_by_type_and_by_role() -> None:
    facts = FakeModel().config
    facts["tokenizer"].update(eos_id=5, vocab_size=6)
    facts["decoder"].update(vocab_size=6)
    facts["image"].update(start_token_id=3, end_token_id=-1, context_token_id=-1)
    facts["chat"].update(stop_token_ids=[2])
    vocabulary = Vocabulary(
        {
            "tokenizer.ggml.tokens": ["a", "<think>", "<|im_end|>", "<img>", "", "</s>"],
            "tokenizer.ggml.token_type": [1, 4, 3, 4, 3, 1],
        },
        ModelConfig(facts),
    )
    assert vocabulary.added == {"<think>": 1, "<|im_end|>": 2, "<img>": 3, "</s>": 5}
    assert vocabulary.control_ids == {2, 3, 4, 5}
    assert vocabulary.control == {"<|im_end|>", "<img>", "</s>"}
    assert vocabulary.stop_ids == {2, 5}
    tokenizer = {"bos_id": -1, "eos_id": -1, "add_bos": False, "vocab_size": 0}
    assert Vocabulary({}, ModelConfig({"tokenizer": tokenizer})).control_ids == frozenset()
