"""Reading through the C API gives what the Python package gives, to the token."""

from __future__ import annotations

import ctypes
import io
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import capi_library as capi
import numpy as np
import pytest
from capi_library import CapiError, Library, LoadedModel, Result, image_of, messages_of
from crispvl import CrispOCR
from crispvl.convert import convert_checkpoint
from crispvl.prompts.tasks import prompt_for
from crispvl.tiling import choose_grid
from PIL import Image
from tiny import ROWS, make_checkpoint

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RECEIPT = EXAMPLES / "receipt.png"


@pytest.fixture(scope="module")
def ocr(nano: Path) -> CrispOCR:
    # As the C library: nothing is kept from one answer for the next.
    return CrispOCR(nano, image_cache_bytes=0)


def as_page(model: LoadedModel, source: Any, **fields: Any) -> Result:
    """Reads a page by the published rule."""
    return model.recognize(source, layout=capi.PAGE, **fields)


@pytest.mark.parametrize("page", sorted(EXAMPLES.glob("*.png")), ids=lambda page: page.stem)
def test_text_ids_and_probabilities_are_pythons(
    page: Path, model: LoadedModel, ocr: CrispOCR
) -> None:
    prompt = prompt_for("text", ocr.model.config.chat)
    parts = [{"type": "image", "image": page}, {"type": "text", "text": prompt}]
    found, expected = as_page(model, str(page)), ocr.chat([{"role": "user", "content": parts}])
    generation = expected.generation
    assert generation is not None
    assert found.text == expected.text
    assert found.ids == generation.ids
    np.testing.assert_allclose(found.logprobs, generation.logprobs, atol=1e-6)
    assert found.info.finish == {"stop": capi.STOP, "length": capi.LENGTH}[generation.finish_reason]
    assert found.info.n_prompt_tokens == generation.n_prompt_tokens
    assert found.info.n_tiles == expected.n_tiles
    size = found.info.width_px, found.info.height_px
    assert size == Image.open(page).size
    assert (found.info.n_columns, found.info.n_rows) == choose_grid(
        *size, model.info.max_tiles, model.info.tile_px
    )
    assert found.info.confidence == pytest.approx(generation.confidence.mean, abs=1e-6)
    assert found.info.encode_ms > 0 < found.info.decode_ms


def test_a_page_with_fractional_positions_may_have_more_tokens_than_the_context(
    library: Library, tmp_path: Path
) -> None:
    checkpoint, file = make_checkpoint(ROWS[0], tmp_path / "checkpoint"), tmp_path / "v2pe.gguf"
    convert_checkpoint(checkpoint, file, "f32", image_position_step=1 / 256)
    tiny = library.load(path=str(file))
    length = tiny.info.context_length
    page = np.full((560, 784, 3), 255, np.uint8)  # 14x10 tiles of 56 px
    found = tiny.recognize(
        page, prompt=b"OCR", max_tiles=140, max_tokens=2 * length, ignore_stop_tokens=1
    )
    assert found.info.n_prompt_tokens > length
    n_image_tokens = found.info.n_tiles * tiny.info.tokens_per_tile
    n_text_tokens = found.info.n_prompt_tokens - n_image_tokens
    assert len(found.ids) == length - n_text_tokens - -(-n_image_tokens // 256)
    assert found.info.finish == capi.LENGTH


def test_every_pixel_format_reads_the_same(model: LoadedModel) -> None:
    grey = np.asarray(Image.open(RECEIPT).convert("L"))
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    rgba = np.dstack([rgb, np.full_like(grey, 255)])
    padded = np.full((grey.shape[0], grey.shape[1] * 3 + 13), 77, np.uint8)
    padded[:, :-13] = rgb.reshape(len(rgb), -1)
    encoded = io.BytesIO()
    Image.fromarray(grey).save(encoded, "PNG")
    expected = as_page(model, image_of(grey), max_tokens=8)
    images = [image_of(rgb), image_of(rgba), image_of(rgb, capi.BGR), image_of(rgba, capi.BGRA)]
    images.append(image_of(rgb, stride_bytes=padded.shape[1]))
    images[-1].data, images[-1].n_bytes = padded.ctypes.data, padded.nbytes
    for image in [*images, image_of(encoded.getvalue())]:
        assert as_page(model, image, max_tokens=8).logprobs == expected.logprobs


def test_channel_order_is_honoured(model: LoadedModel) -> None:
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[:, :, 0], rgb[:, :, 1] = 200, 90
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    np.testing.assert_array_equal(model.tile(image_of(bgr, capi.BGR)), model.tile(image_of(rgb)))
    assert (model.tile(image_of(bgr)) != model.tile(image_of(rgb))).any()


def test_messages_answer_as_in_python(model: LoadedModel, ocr: CrispOCR) -> None:
    turns = messages_of(
        ("user", [image_of(str(RECEIPT)), "What is this? <|im_end|>"]),
        ("assistant", ["A receipt."]),
        ("user", ["Read it.", image_of(str(EXAMPLES / "code.png"))]),
    )
    image = {"type": "image", "image": RECEIPT}
    expected = ocr.chat(
        [
            {"role": "user", "content": [image, "What is this? <|im_end|>"]},
            {"role": "assistant", "content": "A receipt."},
            {
                "role": "user",
                "content": ["Read it.", {"type": "image", "image": EXAMPLES / "code.png"}],
            },
        ],
        max_tokens=24,
        speculate=False,
    )
    found = model.chat(turns, max_tokens=24)
    assert expected.generation is not None
    assert found.info.n_prompt_tokens == expected.generation.n_prompt_tokens
    assert found.ids == expected.generation.ids
    assert (found.info.width_px, found.info.n_columns) == (0, 0)


def test_tokens_come_one_by_one_and_a_callback_can_stop_them(model: LoadedModel) -> None:
    seen: list[tuple[int, str]] = []

    @capi.OnToken
    def on_token(token: ctypes._Pointer, _: object) -> int:
        seen.append((token.contents.id, token.contents.text.decode()))
        return int(len(seen) == 5)

    whole = as_page(model, str(RECEIPT))
    part = as_page(model, str(RECEIPT), on_token=on_token)
    assert part.info.finish == capi.BY_CALLER
    assert [token_id for token_id, _ in seen if token_id >= 0] == part.ids == whole.ids[:5]
    assert "".join(text for _, text in seen) == part.text
    assert math.isnan(part.info.stop_logprob)


def test_progress_ends_at_all_tiles(model: LoadedModel) -> None:
    seen: list[tuple[int, int]] = []
    progress = capi.OnProgress(lambda n_done, n_tiles, _: seen.append((n_done, n_tiles)))
    result = as_page(model, str(RECEIPT), on_progress=progress, max_tokens=1)
    assert seen == sorted(seen)
    assert seen[-1] == (result.info.n_tiles, result.info.n_tiles)
    assert result.info.finish == capi.LENGTH


def test_cancel_from_another_thread_gives_what_there_is(
    library: Library, model: LoadedModel
) -> None:
    cancel = ctypes.c_void_p()
    library.call("cancel_new", ctypes.byref(cancel))
    n_seen = threading.Semaphore(0)
    requested = threading.Event()

    @capi.OnToken
    def on_token(_: object, __: object) -> int:
        n_seen.release()
        requested.wait(0.05)
        return 0

    def stop() -> None:
        for _ in range(3):
            n_seen.acquire()
        library.crispvl_cancel_request(cancel)
        requested.set()

    stopper = threading.Thread(target=stop)
    stopper.start()
    options = {"on_token": on_token, "cancel": cancel, "ignore_stop_tokens": 1, "max_tokens": 500}
    with pytest.raises(CapiError) as raised:
        as_page(model, str(RECEIPT), **options)
    stopper.join()
    assert raised.value.status == capi.CANCELLED
    partial = raised.value.result
    assert partial is not None
    assert 3 <= len(partial.ids) < 500
    assert partial.text
    assert partial.info.finish == capi.BY_CALLER
    with pytest.raises(CapiError, match="stopped by the caller"):
        as_page(model, str(RECEIPT), cancel=cancel)
    library.crispvl_cancel_reset(cancel)
    assert as_page(model, str(RECEIPT), cancel=cancel, max_tokens=2).ids
    library.crispvl_cancel_free(cancel)


def test_low_level_calls_make_the_same_answer(library: Library, model: LoadedModel) -> None:
    expected = as_page(model, str(RECEIPT), prompt="Read.", max_tokens=12, ignore_stop_tokens=1)
    tiles = model.tile(str(RECEIPT))
    embeddings = model.encode(tiles)
    prompt = messages_of(("user", [image_of(b"unread"), "Read."]))
    ids = model.build_prompt(prompt, [len(tiles)])
    rows = embeddings.reshape(-1, model.info.width)
    session, sampler = ctypes.c_void_p(), ctypes.c_void_p()
    library.call("session_new", model.handle, ctypes.c_int32(len(ids) + 12), ctypes.byref(session))
    library.call("sampler_new", None, ctypes.byref(sampler))
    model.prefill(session, ids, rows)
    found: list[int] = []
    token, logprob = ctypes.c_int32(), ctypes.c_float()
    places = (ctypes.byref(token), ctypes.byref(logprob))
    for _ in range(12):
        library.call("sample", sampler, session, *places)
        found.append(token.value)
        logits = np.array(library.crispvl_session_logits(session)[: model.info.n_logits])
        normal = logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())
        assert logprob.value == pytest.approx(normal[token.value], abs=1e-4)
        library.call("session_decode", session, token, None)
    assert found == expected.ids
    assert library.crispvl_session_n_past(session) == len(ids) + 12
    with pytest.raises(CapiError) as raised:
        library.call("session_decode", session, token, None)
    assert raised.value.status == capi.CONTEXT_OVERFLOW
    library.call("session_rewind", session, ctypes.c_int32(len(ids) - 1))
    model.prefill(session, ids[-1:])
    library.call("sample", sampler, session, *places)
    assert token.value == expected.ids[0]
    library.crispvl_session_free(session)
    library.crispvl_sampler_free(sampler)


def test_a_seed_repeats_a_sampled_answer(model: LoadedModel) -> None:
    options = {"temperature": 1.5, "top_k": 50, "max_tokens": 20, "ignore_stop_tokens": 1}
    once, again, other = (
        as_page(model, str(RECEIPT), seed=seed, **options).ids for seed in (7, 7, 8)
    )
    assert once == again != other


def test_threads_read_at_once_with_one_model(model: LoadedModel) -> None:
    pages = [str(page) for page in sorted(EXAMPLES.glob("*.png"))] * 2
    alone = [as_page(model, page, max_tokens=12).ids for page in pages]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda page: as_page(model, page, max_tokens=12).ids, pages)
        assert list(together) == alone


def test_a_session_outlives_its_model(library: Library, nano: Path) -> None:
    model = library.load(path=str(nano))
    session = ctypes.c_void_p()
    library.call("session_new", model.handle, ctypes.c_int32(8), ctypes.byref(session))
    library.crispvl_model_free(model.handle)
    model.handle = None
    model.prefill(session, [5, 6, 7])
    assert library.crispvl_session_n_past(session) == 3
    library.crispvl_session_free(session)
