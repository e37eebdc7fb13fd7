"""The C library's prompts have the token ids of the Python package's."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from capi_library import Library, LoadedModel, image_of, messages_of
from crispvl.convert.convert import convert_checkpoint
from crispvl.engine.model import Model
from crispvl.prompts.builder import PromptBuilder
from crispvl.prompts.messages import ImagePart, Message
from goldens import GOLDENS, Golden, golden_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PIECES = (
    "<|im_end|>",
    "<|im_start|>",
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
    "<image>",
    "<|im_",
    "end|>",
    "<",
    "|>",
    "user\n",
    " a",
    "Total: 12,50 €",
    "漢字",
    "\n",
    "",
    "<s>",
    "</s>",
    "\ue000",
    "e\u0301",
)
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=6).map("".join)
parts = st.lists(st.none() | texts, max_size=4)  # None: an image
conversations = st.tuples(
    st.none() | texts,
    st.lists(st.tuples(st.sampled_from(["user", "assistant"]), parts), min_size=1, max_size=3),
)


@functools.cache
def converted(golden: Path, folder: Path) -> Path:
    return convert_checkpoint(golden, folder / f"{golden.name}.gguf", "f32").files[0]


@pytest.fixture(scope="module", params=GOLDENS)
def golden(request: pytest.FixtureRequest, shared_dir: Path) -> Golden:
    return Golden(golden_folder(shared_dir, request.param))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("goldens")


def test_ids_of_the_goldens(golden: Golden, folder: Path, library: Library) -> None:
    model = library.load(path=str(converted(golden.folder, folder)))
    expected = golden.expected
    system = ("system", [expected["system_message"]])
    image = image_of(b"unread")
    with_image = messages_of(system, ("user", [image, expected["question"]]))
    assert model.build_prompt(with_image, [len(golden.tiles)]) == golden.prompt_ids("image")


def assert_same_ids(
    library_model: LoadedModel,
    builder: PromptBuilder,
    conversation: tuple[str | None, list[tuple[str, list[str | None]]]],
) -> None:
    system, turns = conversation
    if system is not None:
        turns = [("system", [system]), *turns]
    n_images = sum(part is None for _, contents in turns for part in contents)
    n_tiles = list(range(1, n_images + 1))
    per_tile = library_model.info.tokens_per_tile
    image = image_of(b"unread")
    found = library_model.build_prompt(
        messages_of(
            *(
                (role, [image if part is None else part for part in contents])
                for role, contents in turns
            )
        ),
        n_tiles,
    )
    messages = [
        Message(role, tuple(ImagePart(b"") if part is None else part for part in contents))
        for role, contents in turns
    ]
    assert found == builder.build(messages, [n * per_tile for n in n_tiles])


def without_nul(
    conversation: tuple[str | None, list[tuple[str, list[str | None]]]],
) -> tuple[str | None, list[tuple[str, list[str | None]]]]:
    """C strings end at NUL, and lone surrogates are no UTF-8."""

    def clean(text: str | None) -> str | None:
        return text and text.encode("utf-8", "ignore").decode().replace("\0", "")

    system, turns = conversation
    return clean(system), [(role, [clean(part) for part in contents]) for role, contents in turns]


def test_any_conversation_has_pythons_ids(golden: Golden, folder: Path, library: Library) -> None:
    path = converted(golden.folder, folder)
    model, builder = library.load(path=str(path)), PromptBuilder(Model.load(path))
    if not model or builder._template is not None:
        pytest.skip("this checkpoint has a Jinja template only")

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(conversations.map(without_nul))
    def check(conversation: tuple[str | None, list[tuple[str, list[str | None]]]]) -> None:
        assert_same_ids(model, builder, conversation)

    check()


def test_a_jinja_template_of_an_hf_checkpoint_has_the_same_ids(
    model: LoadedModel, nano: Path
) -> None:
    builder = PromptBuilder(Model.load(nano))

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(conversations.map(without_nul))
    def check(conversation: tuple[str | None, list[tuple[str, list[str | None]]]]) -> None:
        assert_same_ids(model, builder, conversation)

    check()
