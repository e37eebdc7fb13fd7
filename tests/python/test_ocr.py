"""The high level: one text however it is asked for, and errors where they belong."""

from __future__ import annotations

import json
import logging
import types
from pathlib import Path
from threading import Lock
from typing import Any

import crispvl
import numpy as np
import pytest
from crispvl import CrispOCR, ImageError, Model, ModelFileError, ReadOptions
from crispvl.errors import Cancelled
from crispvl.hub import bundled, huggingface
from crispvl.hub.hashing import file_sha256
from crispvl.hub.huggingface import choose_files
from PIL import Image

from .conftest import SPECIAL_IDS, FakeCancelToken, FakeModel


@pytest.fixture
def ocr(core: FakeModel, page: Path) -> CrispOCR:
    core.answer = list("Grüße, 12 €\n".encode())
    return CrispOCR(page)  # the stand-in loads any file that exists


def test_recognize_and_stream_give_the_same_text(ocr: CrispOCR, page: Path) -> None:
    result = ocr.recognize(page)
    assert str(result) == result.text == "Grüße, 12 €\n"
    chunks = list(ocr.stream(page))
    assert "".join(chunks) == result.text
    assert all(chunks)
    assert "ü" in chunks  # never half a character


def test_a_result_tells_how_it_came_about(ocr: CrispOCR, page: Path) -> None:
    result = ocr.recognize(page)
    (read,) = result.pages
    assert (read.grid, read.n_tiles, read.width_px, read.height_px) == ((2, 1), 3, 60, 28)
    assert result.n_tiles == 3
    assert result.finish_reason == "stop"
    assert 0 < result.confidence < 1
    as_json = json.loads(json.dumps(result.to_dict()))
    assert as_json["text"] == result.text
    assert as_json["source"] == str(page)
    assert as_json["tiles"] == 3
    assert as_json["tokens"] == len("Grüße, 12 €\n".encode())
    assert as_json["token_confidence"]["n_doubtful"] == 0
    assert as_json["timings"]["image_ms"] > 0
    assert as_json["error"] is None


def test_the_models_own_prompt_is_used_unless_another_is_given(
    ocr: CrispOCR, core: FakeModel, page: Path
) -> None:
    for settings, expected in [
        ({}, "\nOCR"),
        ({"task": "markdown"}, "Markdown"),
        ({"prompt": "What is it?"}, "\nWhat is it?"),
    ]:
        ocr.recognize(page, **settings)
        text = bytes(token for token in core.prompts[-1] if token < 256).decode()
        assert expected in text


def test_max_tiles_of_the_call_precedes_that_of_the_reader(core: FakeModel, page: Path) -> None:
    image = Image.new("RGB", (400, 100))
    image.paste("white", (50, 20, 80, 60))
    ocr = CrispOCR(page, max_tiles=2)
    assert ocr.recognize(image).n_tiles == 3
    assert ocr.recognize(image, max_tiles=1).n_tiles == 1
    assert CrispOCR(page).recognize(image).n_tiles == 5
    core.config["image"]["min_tiles"] = 4
    assert CrispOCR(page).recognize(image, max_tiles=2).n_tiles == 3


def test_tiles_of_the_reader_hold_where_the_options_of_a_call_name_none(
    core: FakeModel, page: Path
) -> None:
    ocr = CrispOCR(page, max_tiles=1)
    assert ocr.recognize(page, options=ReadOptions(max_tokens=2)).n_tiles == 1
    assert ocr.recognize(page, options=ReadOptions(max_tiles=2)).n_tiles == 3
    (many,) = ocr.recognize_many([page], options=ReadOptions(max_tokens=2))
    assert many.n_tiles == 1
    turns = [{"role": "user", "content": [{"type": "image", "image": page}]}]
    assert ocr.chat(turns, options=ReadOptions(max_tokens=2)).n_tiles == 1


def test_how_to_load_a_model_that_is_loaded_is_refused(core: FakeModel, page: Path) -> None:
    model = Model.load(page)
    assert CrispOCR(model, max_tiles=2, image_cache_bytes=0, device="auto").model is model
    with pytest.raises(ValueError, match="found a Model and device, threads, kv_cache; "):
        CrispOCR(model, device="cpu", threads=2, kv_cache="f16")
    with pytest.raises(ValueError, match="found a Model and mmproj, exact, tokenizer, mmap; "):
        CrispOCR(model, page, exact=True, tokenizer=page, mmap=False)


def test_more_tiles_at_least_than_at_most_are_refused_before_anything_is_read(
    ocr: CrispOCR, core: FakeModel, page: Path
) -> None:
    expected = r"expected min_tiles in 1…6, at most max_tiles; found 7; "
    with pytest.raises(ValueError, match=expected):
        CrispOCR(page, min_tiles=7)  # the model's own are at most 6
    with pytest.raises(ValueError, match=expected):
        ocr.recognize(page.with_name("missing.png"), min_tiles=7)
    with pytest.raises(ValueError, match=expected):
        list(ocr.recognize_many([page], min_tiles=7))
    with pytest.raises(ValueError, match=expected):
        ocr.chat([{"role": "user", "content": "Hi"}], min_tiles=7)
    assert core.prompts == []


@pytest.mark.parametrize(
    ("size", "error"),
    [(-1, ValueError), ("64MB", TypeError), (None, TypeError), (1.5, TypeError)],
)
def test_another_size_of_the_image_cache_is_refused_before_the_model_is_loaded(
    core: FakeModel, page: Path, size: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"^\[image cache\] expected .*; found .*; pass "):
        CrispOCR(page, image_cache_bytes=size)
    assert core.loaded_with == ()


def test_arrays_bytes_and_images_are_read_alike(ocr: CrispOCR, page: Path) -> None:
    image = Image.open(page)
    for source in (page.read_bytes(), image, np.asarray(image)):
        assert ocr.recognize(source).text == "Grüße, 12 €\n"


@pytest.mark.parametrize("size", [(1, 1), (30000, 10)])
def test_images_in_which_nothing_can_be_read_are_refused(
    ocr: CrispOCR, core: FakeModel, size: tuple[int, int]
) -> None:
    with pytest.raises(ImageError):
        ocr.recognize(Image.new("RGB", size))
    assert core.n_encoded == 0


def test_many_results_come_in_order_and_hold_their_errors(
    ocr: CrispOCR, page: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    results = list(ocr.recognize_many([page, broken, tmp_path / "missing.png", page, None]))  # type: ignore[list-item]
    assert [type(result.error) for result in results] == [
        type(None), ImageError, FileNotFoundError, type(None), TypeError
    ]  # fmt: skip
    assert results[1].source == str(broken)
    assert results[1].text == ""
    assert results[1].to_dict()["error"]["type"] == "ImageError"
    assert results[3].text == "Grüße, 12 €\n"


def test_cancelling_hands_over_the_result_so_far(ocr: CrispOCR, page: Path) -> None:
    cancel: Any = FakeCancelToken()
    stream = ocr.stream(page, cancel=cancel)
    next(stream)
    cancel.cancel()
    with pytest.raises(Cancelled) as caught:
        next(stream)
    assert caught.value.partial.source == str(page)
    assert caught.value.partial.text == "G"
    assert caught.value.partial.finish_reason == "cancelled"
    with pytest.raises(Cancelled):
        list(ocr.recognize_many([page], cancel=cancel))


def test_chat_takes_images_and_text_in_turns(ocr: CrispOCR, core: FakeModel, page: Path) -> None:
    image = {"type": "image", "image": Image.open(page)}
    result = ocr.chat(
        [
            {"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]},
            {"role": "assistant", "content": "A page."},
            {"role": "user", "content": "Sure?"},
        ],
        max_tokens=3,
    )
    assert (result.text, result.finish_reason, result.n_tiles) == ("Gr", "length", 3) or (
        result.text == "Gr�"
    )
    assert core.prompts[-1].count(SPECIAL_IDS["<img>"]) == 1
    assert ocr.chat([{"role": "user", "content": "Hi"}]).n_tiles == 0
    assert json.loads(json.dumps(result.to_dict()))["finish_reason"] == "length"


def test_a_closed_reader_says_so(ocr: CrispOCR, page: Path) -> None:
    with ocr:
        ocr.recognize(page)
    with pytest.raises(ValueError, match="found a closed one"):
        ocr.recognize(page)


def test_the_bundled_model_is_checked_and_announced_once_where_it_reads(
    core: FakeModel, page: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bundled, "path", lambda: page)
    monkeypatch.setattr(bundled, "SHA256", file_sha256(page))
    monkeypatch.setattr(bundled, "_untold", Lock())
    bundled.verified_path.cache_clear()
    with caplog.at_level(logging.WARNING, logger="crispvl"):
        unread = [*CrispOCR().recognize_many([page.with_name("absent.png")])]
        assert unread[0].error is not None
        CrispOCR(page).recognize(page)
        assert caplog.messages == []  # another model read, if any
        CrispOCR().recognize(page)
        CrispOCR().chat([{"role": "user", "content": "Hi"}])
    assert caplog.messages == [bundled.NOTICE]
    assert core.loaded_with[0] == str(page)

    bundled.verified_path.cache_clear()
    monkeypatch.setattr(bundled, "SHA256", "0" * 64)
    with pytest.raises(ModelFileError, match="SHA-256 0000"):
        CrispOCR()
    monkeypatch.setattr(bundled, "path", lambda: page.with_name("absent.gguf"))
    with pytest.raises(ModelFileError, match="none in this installation"):
        CrispOCR()
    bundled.verified_path.cache_clear()


def test_the_bundled_model_is_the_one_named_in_the_code() -> None:
    if not bundled.path().is_file():
        pytest.skip("this tree has no bundled model")
    assert file_sha256(bundled.path()) == bundled.SHA256


FILES = [
    "README.md", "Model-F16.gguf", "Model-Q8_0.gguf", "big-Q4_0-00001-of-00002.gguf",
    "big-Q4_0-00002-of-00002.gguf", "mmproj-F16.gguf", "mmproj-Q8_0.gguf",
]  # fmt: skip


def test_the_hub_file_is_chosen_by_pattern_and_the_projector_found() -> None:
    assert choose_files("o/r", FILES, "*q8_0*") == ("Model-Q8_0.gguf", "mmproj-F16.gguf")
    assert choose_files("o/r", FILES, "*q4_0*", "*q8_0*") == (
        "big-Q4_0-00001-of-00002.gguf", "mmproj-Q8_0.gguf"
    )  # fmt: skip
    assert choose_files("o/r", FILES[:3], "Model-F16.gguf") == ("Model-F16.gguf", None)
    with pytest.raises(ModelFileError, match=r"expected a GGUF file named '\*q2_k\*'"):
        choose_files("o/r", FILES, "*q2_k*")
    with pytest.raises(ModelFileError, match="expected a projector named 'none'"):
        choose_files("o/r", FILES, "*q8_0*", "none")


def test_from_pretrained_fetches_every_part(
    core: FakeModel, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []

    def fetch(repo: str, name: str, revision: str | None) -> str:
        fetched.append(name)
        (tmp_path / name).write_bytes(b"")
        return str(tmp_path / name)

    library = types.SimpleNamespace(
        HfApi=lambda: types.SimpleNamespace(list_repo_files=lambda repo, revision: FILES),
        hf_hub_download=fetch,
        try_to_load_from_cache=lambda repo, name, revision: None,
        errors=types.SimpleNamespace(OfflineModeIsEnabled=OSError, HfHubHTTPError=OSError),
    )
    monkeypatch.setattr(huggingface, "import_hub", lambda: library)
    CrispOCR.from_pretrained("o/r", filename="*q4_0*", device="cpu")
    assert fetched == [FILES[3], FILES[4], "mmproj-F16.gguf"]
    assert core.loaded_with[:3] == (str(tmp_path / FILES[3]), str(tmp_path / FILES[5]), "cpu")


def test_every_public_name_exists(core: FakeModel) -> None:
    for name in crispvl.__all__:
        assert getattr(crispvl, name) is not None
    with pytest.raises(AttributeError):
        crispvl.nothing  # noqa: B018
