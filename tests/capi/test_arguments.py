"""Wrong arguments are a status and a sentence, never a crash."""

from __future__ import annotations

import ctypes
import shutil
import threading
from ctypes import byref, c_float, c_int32, c_size_t, c_void_p, sizeof
from pathlib import Path

import capi_library as capi
import numpy as np
import pytest
from capi_library import CapiError, Library, LoadedModel, image_of, messages_of
from conftest import ROOT

PIXELS = np.full((32, 32, 3), 255, np.uint8)


def status_of(call: object, *arguments: object, **fields: object) -> tuple[int, str]:
    with pytest.raises(CapiError) as raised:
        call(*arguments, **fields)  # type: ignore[operator]
    return raised.value.status, str(raised.value)


def test_null_for_every_pointer_is_refused(library: Library, model: LoadedModel) -> None:
    out, n = c_void_p(), c_size_t()
    image, text = byref(image_of(PIXELS)), b"text"
    zero, one = c_size_t(0), c_size_t(1)
    calls = {
        "cancel_new": [(None,)],
        "model_load": [(None, byref(out)), (byref(capi.LoadParams()), None)],
        "model_get_info": [(None, byref(capi.ModelInfo()), one), (model.handle, None, one)],
        "recognize": [
            (None, image, None, byref(out)),
            (model.handle, None, None, byref(out)),
            (model.handle, image, None, None),
        ],
        "chat": [
            (None, None, one, None, byref(out)),
            (model.handle, None, one, None, byref(out)),
            (model.handle, messages_of(("user", ["a"])), zero, None, byref(out)),
        ],
        "result_get_info": [(None, byref(capi.ResultInfo()), one)],
        "result_get_line": [(None, zero, byref(capi.TextPart()), one)],
        "result_get_word": [(None, zero, byref(capi.TextPart()), one)],
        "tokenize": [
            (None, text, 0, None, zero, byref(n)),
            (model.handle, None, 0, None, zero, byref(n)),
            (model.handle, text, 0, None, zero, None),
        ],
        "detokenize": [
            (None, None, zero, None, zero, byref(n)),
            (model.handle, None, one, None, zero, byref(n)),
            (model.handle, None, zero, None, zero, None),
        ],
        "build_prompt": [(None, None, one, None, zero, None, zero, byref(n))],
        "tile_image": [
            (None, image, 0, 0, None, zero, byref(n)),
            (model.handle, None, 0, 0, None, zero, byref(n)),
        ],
        "encode": [
            (None, None, one, None, None, zero),
            (model.handle, None, one, None, None, zero),
        ],
        "session_new": [(None, 8, byref(out)), (model.handle, 8, None)],
        "session_prefill": [(None, None, zero, None, zero, None)],
        "session_decode": [(None, 1, None)],
        "session_rewind": [(None, 0)],
        "sampler_new": [(None, None)],
        "sample": [(None, None, byref(c_int32()), None), (None, None, None, None)],
    }
    for name, cases in calls.items():
        for arguments in cases:
            assert status_of(library.call, name, *arguments)[0] == capi.ARGUMENT, name
    for name in ("model", "result", "session", "sampler", "cancel"):
        getattr(library, f"crispvl_{name}_free")(None)
    library.crispvl_cancel_request(None)
    assert library.crispvl_result_text(None) is None
    assert not library.crispvl_result_ids(None)
    assert not library.crispvl_session_logits(None)


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"path": "/nowhere/model.gguf"}, capi.NOT_FOUND, r"'/nowhere/model.gguf' does not exist"),
        ({"path": __file__}, capi.MODEL_FILE, "does not begin with 'GGUF'"),
        ({}, capi.ARGUMENT, "either a path or data"),
        ({"path": "a", "n_threads": -1}, capi.NOT_FOUND, "does not exist"),
    ],
)
def test_models_that_cannot_be_loaded(
    fields: dict[str, object], status: int, message: str, library: Library
) -> None:
    found, text = status_of(library.load, **fields)
    assert found == status
    assert message in text


def test_a_missing_device_is_named(library: Library, nano: Path) -> None:
    status, text = status_of(library.load, path=str(nano), device="cuda:9")
    assert status == capi.DEVICE
    assert "found 'cuda:9'" in text
    assert status_of(library.load, path=str(nano), n_threads=-3)[0] == capi.ARGUMENT


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", -1),
        ("layout", 5),
        ("layout", -1),
        ("temperature", -1.0),
        ("temperature", float("nan")),
        ("top_p", 0.0),
        ("min_p", 1.0),
        ("repetition_penalty", 0.0),
        ("top_k", -1),
        ("max_tiles", -1),
        ("max_tiles", 1 << 30),
        ("task", 7),
    ],
)
def test_options_out_of_range_are_refused(field: str, value: float, model: LoadedModel) -> None:
    assert status_of(model.recognize, image_of(PIXELS), **{field: value})[0] == capi.ARGUMENT


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"width_px": 0}, capi.IMAGE),
        ({"height_px": -5}, capi.IMAGE),
        ({"width_px": 2**31 - 1, "height_px": 2**31 - 1}, capi.IMAGE),
        ({"n_bytes": 32 * 32 * 3 - 1}, capi.ARGUMENT),
        ({"stride_bytes": 95}, capi.ARGUMENT),
        ({"stride_bytes": 2**64 - 1}, capi.ARGUMENT),
        ({"format": 77}, capi.ARGUMENT),
        ({"path": b"also.png"}, capi.ARGUMENT),
        ({"data": None}, capi.ARGUMENT),
        ({"width_px": 7, "height_px": 32}, capi.IMAGE),
    ],
)
def test_images_of_wrong_sizes_are_refused(
    changes: dict[str, object], status: int, model: LoadedModel
) -> None:
    image = image_of(PIXELS)
    for name, value in changes.items():
        setattr(image, name, value)
    assert status_of(model.recognize, image)[0] == status


def test_the_last_row_of_a_padded_image_needs_no_padding(model: LoadedModel) -> None:
    image = image_of(PIXELS[:, :20].copy(), stride_bytes=96)
    backing = np.zeros(96 * 31 + 60, np.uint8)
    image.data, image.n_bytes = backing.ctypes.data, backing.nbytes
    assert np.array_equal(model.tile(image), model.tile(image_of(np.zeros_like(PIXELS[:, :20]))))


def test_small_buffers_are_refused_and_the_need_is_told(
    library: Library, model: LoadedModel
) -> None:
    expected = model.tokenize("hello world", False)
    ids, n = (c_int32 * len(expected))(*[-7] * len(expected)), c_size_t()
    arguments = (model.handle, b"hello world", 0, ids)
    status, _ = status_of(
        library.call, "tokenize", *arguments, c_size_t(len(expected) - 1), byref(n)
    )
    assert (status, n.value, set(ids)) == (capi.BUFFER, len(expected), {-7})
    text = ctypes.create_string_buffer(11)
    arguments = (model.handle, (c_int32 * len(expected))(*expected), c_size_t(len(expected)))
    status, _ = status_of(library.call, "detokenize", *arguments, text, c_size_t(11), byref(n))
    assert (status, n.value) == (capi.BUFFER, 11)
    assert model.detokenize(expected) == b"hello world"


def test_ids_of_no_token_are_refused(library: Library, model: LoadedModel) -> None:
    for bad in (-1, 2**31 - 1):
        assert status_of(model.detokenize, [bad])[0] == capi.ARGUMENT
    session = c_void_p()
    library.call("session_new", model.handle, 8, byref(session))
    for bad in (-1, model.info.n_logits):
        assert status_of(model.prefill, session, [bad])[0] == capi.ARGUMENT
    assert status_of(model.prefill, session, [1] * 9)[0] == capi.CONTEXT_OVERFLOW
    assert status_of(model.prefill, session, [])[0] == capi.ARGUMENT
    rows = np.zeros((2, model.info.width), np.float32)
    context = model.info.image_context_id
    assert status_of(model.prefill, session, [context, 5, 5], rows)[0] == capi.ARGUMENT
    assert library.crispvl_session_n_past(session) == 0
    library.crispvl_session_free(session)
    too_long = c_int32(model.info.context_length + 1)
    call = (library.call, "session_new", model.handle, too_long, byref(session))
    assert status_of(*call)[0] == capi.CONTEXT_OVERFLOW


def test_sampling_before_a_prompt_is_refused(library: Library, model: LoadedModel) -> None:
    session, sampler, token = c_void_p(), c_void_p(), c_int32()
    library.call("session_new", model.handle, 8, byref(session))
    library.call("sampler_new", None, byref(sampler))
    assert not library.crispvl_session_logits(session)
    status, text = status_of(library.call, "sample", sampler, session, byref(token), None)
    assert status == capi.ARGUMENT
    assert "call prefill" in text
    library.crispvl_session_free(session)
    library.crispvl_sampler_free(sampler)


def test_sampling_that_fails_leaves_neither_id_nor_logprob(
    library: Library, model: LoadedModel
) -> None:
    session, sampler = c_void_p(), c_void_p()
    library.call("session_new", model.handle, 8, byref(session))
    library.call("sampler_new", None, byref(sampler))
    for of_sampler, of_session in ((sampler, session), (None, session), (sampler, None)):
        token, logprob = c_int32(7), c_float(-7.0)
        arguments = (of_sampler, of_session, byref(token), byref(logprob))
        assert status_of(library.call, "sample", *arguments)[0] == capi.ARGUMENT
        assert (token.value, logprob.value) == (0, 0.0)
    library.crispvl_session_free(session)
    library.crispvl_sampler_free(sampler)


def test_messages_must_be_complete(model: LoadedModel) -> None:
    for turns in (
        [("tool", ["x"])],
        [("user", ["x"]), ("system", ["late"])],
        [("\xff", ["x"])],
    ):
        assert status_of(model.build_prompt, messages_of(*turns), [])[0] == capi.ARGUMENT
    both = messages_of(("user", [image_of(PIXELS)]))
    both[0].parts[0].text = b"and text"
    assert status_of(model.build_prompt, both, [1])[0] == capi.ARGUMENT
    one_image = messages_of(("user", [image_of(PIXELS), "x"]))
    for counts in ([], [1, 1], [-1]):
        assert status_of(model.build_prompt, one_image, counts)[0] == capi.ARGUMENT


def test_a_prompt_longer_than_the_context_is_refused(model: LoadedModel) -> None:
    long = "a " * (model.info.context_length + 1)
    status, text = status_of(model.chat, messages_of(("user", [long])))
    assert status == capi.CONTEXT_OVERFLOW
    assert f"context of {model.info.context_length}" in text


def test_structs_of_other_headers_are_understood(library: Library, model: LoadedModel) -> None:
    class Newer(ctypes.Structure):
        _fields_ = (("known", capi.RecognizeParams), ("added", ctypes.c_int64))

    newer = Newer()
    library.crispvl_recognize_params_init(byref(newer), c_size_t(sizeof(newer)))
    assert (newer.known.struct_size, newer.known.max_tokens) == (sizeof(newer), 0)
    newer.known.max_tokens = 1
    image, result = image_of(PIXELS), c_void_p()
    library.call("recognize", model.handle, byref(image), byref(newer), byref(result))
    library.crispvl_result_free(result)
    newer.added = 1
    arguments = (model.handle, byref(image), byref(newer), byref(result))
    assert "newer" in status_of(library.call, "recognize", *arguments)[1]

    older = library.params(max_tokens=1, temperature=-9)  # its temperature is beyond its end
    older.struct_size = capi.RecognizeParams.temperature.offset
    arguments = (model.handle, byref(image), byref(older), byref(result))
    library.call("recognize", *arguments)
    library.crispvl_result_free(result)
    for garbage in (0, 3, 1 << 40):
        older.struct_size = garbage
        assert (
            "crispvl_recognize_params_init" in status_of(library.call, "recognize", *arguments)[1]
        )

    info = (ctypes.c_uint8 * 64)(*[9] * 64)
    library.call("model_get_info", model.handle, byref(info), c_size_t(20))
    assert list(info[20:]) == [9] * 44


def test_a_struct_that_ends_within_a_field_is_read_up_to_it(
    library: Library, nano: Path, model: LoadedModel
) -> None:
    image, result = image_of(PIXELS), c_void_p()
    params = library.params(max_tokens=1, prompt="ask")  # half of the prompt's address is none
    params.struct_size = capi.RecognizeParams.prompt.offset + 4
    library.call("recognize", model.handle, byref(image), byref(params), byref(result))
    library.crispvl_result_free(result)
    load = capi.LoadParams()
    library.crispvl_load_params_init(byref(load), c_size_t(sizeof(load)))
    load.path, load.device = str(nano).encode(), b"nonsense"
    load.struct_size = capi.LoadParams.device.offset + 3
    handle = c_void_p()
    library.call("model_load", byref(load), byref(handle))
    library.crispvl_model_free(handle)
    info = (ctypes.c_uint8 * 64)(*[9] * 64)
    n_bytes = capi.ModelInfo.device.offset + 4
    library.call("model_get_info", model.handle, byref(info), c_size_t(n_bytes))
    assert list(info[capi.ModelInfo.device.offset :]) == [0] * 4 + [9] * (64 - n_bytes)


def test_a_vocabulary_alone_tokenizes_and_refuses_the_rest(library: Library, nano: Path) -> None:
    model = library.load(path=str(nano), vocab_only=1)
    assert model.detokenize(model.tokenize("hello", False)) == b"hello"
    info = model.info
    assert (info.device, info.n_threads, info.n_logits) == (b"", 0, 0)
    status, text = status_of(model.recognize, image_of(PIXELS))
    assert status == capi.ARGUMENT
    assert "vocab_only" in text


def test_each_thread_has_its_own_error(library: Library) -> None:
    status_of(library.load, path="/here.gguf")
    seen: list[str] = []

    def fail_elsewhere() -> None:
        seen.append(library.last_error())
        status_of(library.load, path="/there.gguf")
        seen.append(library.last_error())

    thread = threading.Thread(target=fail_elsewhere)
    thread.start()
    thread.join()
    assert seen[0] == ""
    assert "/there.gguf" in seen[1]
    assert "/here.gguf" in library.last_error()


def test_a_long_error_ends_at_a_character(library: Library) -> None:
    status_of(library.load, path="/" + "ä" * 3000)
    assert 4000 < len(library.last_error().encode()) < 4096


def test_versions_and_names(library: Library) -> None:
    header = (ROOT / "csrc" / "include" / "crispvl.h").read_text()
    assert f"#define CRISPVL_ABI_VERSION {library.crispvl_abi_version()}\n" in header
    assert library.crispvl_version().decode().count(".") == 2
    names = [library.crispvl_status_name(i).decode() for i in range(11)]
    assert names[0] == "ok"
    assert len(set(names)) == 11
    assert library.crispvl_status_name(99) == b"unknown"


def test_a_model_loads_from_memory(library: Library, model: LoadedModel, nano: Path) -> None:
    data = bytearray(nano.read_bytes())
    buffer = (ctypes.c_uint8 * len(data)).from_buffer(data)
    address = ctypes.cast(buffer, c_void_p)
    loaded = library.load(data=address, n_data_bytes=len(data))
    data[:] = bytes(len(data))  # the library has its own copy
    assert loaded.info.name == model.info.name
    examples = ROOT / "examples"
    page = str(examples / "code.png")
    found, expected = (each.recognize(page, max_tokens=12).ids for each in (loaded, model))
    assert found == expected
    assert status_of(library.load, data=address, n_data_bytes=len(data))[0] == capi.MODEL_FILE
    assert status_of(library.load, data=address, n_data_bytes=0)[0] == capi.MODEL_FILE
    cut = nano.read_bytes()[: len(data) // 2]
    cut_address = ctypes.cast(cut, c_void_p)
    assert status_of(library.load, data=cut_address, n_data_bytes=len(cut))[0] == capi.MODEL_FILE


def test_a_copied_file_may_go_away(
    library: Library, model: LoadedModel, nano: Path, tmp_path: Path
) -> None:
    file = Path(shutil.copy(nano, tmp_path))
    loaded = library.load(path=str(file), no_mmap=1)
    file.write_bytes(b"something else")
    page = str(ROOT / "examples" / "code.png")
    found, expected = (each.recognize(page, max_tokens=12).ids for each in (loaded, model))
    assert found == expected


@pytest.mark.parametrize("kib", [32, 64, 128])
def test_a_thread_with_a_small_stack_gets_a_status(
    library: Library, model: LoadedModel, kib: int
) -> None:
    found: list[CapiError] = []
    read, text = image_of(PIXELS), b"text"

    def call() -> None:
        out, n = c_void_p(), c_size_t()
        for name, arguments in (
            ("recognize", (model.handle, byref(read), None, byref(out))),
            ("tokenize", (model.handle, text, 0, None, c_size_t(0), byref(n))),
            ("session_new", (model.handle, 16, byref(out))),
        ):
            try:
                library.call(name, *arguments)
            except CapiError as error:
                found.append(error)

    before = threading.stack_size(kib << 10)
    try:
        thread = threading.Thread(target=call)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert [error.status for error in found] == [capi.MEMORY] * 3
    assert "expected 192 KiB of the thread's stack to be left" in str(found[0])
    model.recognize(PIXELS, max_tokens=1)
