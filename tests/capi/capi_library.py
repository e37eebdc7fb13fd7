"""crispvl.h through ctypes: structs field by field, functions with their types."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int32, c_size_t, c_void_p, sizeof
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

(
    OK,
    ARGUMENT,
    NOT_FOUND,
    MODEL_FILE,
    IMAGE,
    CONTEXT_OVERFLOW,
    DEVICE,
    MEMORY,
    CANCELLED,
    INTERNAL,
    BUFFER,
) = range(11)
ENCODED, GREY, RGB, RGBA, BGR, BGRA = range(6)
STOP, LENGTH, BY_CALLER = range(3)
DEFAULT, PAGE, LINES, AUTO, BLOCKS = range(5)
TEXT, MARKDOWN = range(2)


def struct(title: str, /, **fields: Any) -> Any:
    """A ctypes structure with the given fields."""
    return type(title, (ctypes.Structure,), {"_fields_": list(fields.items())})


LoadParams = struct(
    "LoadParams",
    struct_size=c_size_t,
    path=c_char_p,
    mmproj=c_char_p,
    data=c_void_p,
    n_data_bytes=c_size_t,
    mmproj_data=c_void_p,
    n_mmproj_data_bytes=c_size_t,
    device=c_char_p,
    n_threads=c_int32,
    vocab_only=c_int32,
    exact=c_int32,
    no_mmap=c_int32,
)
ModelInfo = struct(
    "ModelInfo",
    name=c_char_p,
    device=c_char_p,
    n_threads=c_int32,
    vocab_size=c_int32,
    n_logits=c_int32,
    context_length=c_int32,
    tile_px=c_int32,
    tokens_per_tile=c_int32,
    width=c_int32,
    min_tiles=c_int32,
    max_tiles=c_int32,
    image_start_id=c_int32,
    image_end_id=c_int32,
    image_context_id=c_int32,
    weight_bytes=ctypes.c_uint64,
)
Image = struct(
    "Image",
    path=c_char_p,
    data=c_void_p,
    n_bytes=c_size_t,
    format=c_int,
    width_px=c_int32,
    height_px=c_int32,
    stride_bytes=c_size_t,
)
Part = struct("Part", text=c_char_p, image=POINTER(Image))
Message = struct("Message", role=c_char_p, parts=POINTER(Part), n_parts=c_size_t)
Token = struct("Token", id=c_int32, logprob=c_float, text=c_char_p)
OnToken = ctypes.CFUNCTYPE(c_int32, POINTER(Token), c_void_p)
OnProgress = ctypes.CFUNCTYPE(None, c_int32, c_int32, c_void_p)
RecognizeParams = struct(
    "RecognizeParams",
    struct_size=c_size_t,
    prompt=c_char_p,
    task=c_int,
    max_tiles=c_int32,
    min_tiles=c_int32,
    max_tokens=c_int32,
    ignore_stop_tokens=c_int32,
    temperature=c_float,
    top_k=c_int32,
    top_p=c_float,
    min_p=c_float,
    repetition_penalty=c_float,
    repetition_window=c_int32,
    seed=ctypes.c_uint64,
    cancel=c_void_p,
    on_token=OnToken,
    on_progress=OnProgress,
    user_data=c_void_p,
    layout=c_int,
)
ResultInfo = struct(
    "ResultInfo",
    finish=c_int,
    n_tokens=c_int32,
    n_prompt_tokens=c_int32,
    n_tiles=c_int32,
    width_px=c_int32,
    height_px=c_int32,
    n_columns=c_int32,
    n_rows=c_int32,
    confidence=c_float,
    stop_logprob=c_float,
    image_ms=ctypes.c_double,
    encode_ms=ctypes.c_double,
    prefill_ms=ctypes.c_double,
    decode_ms=ctypes.c_double,
    damaged=c_int32,
    layout=c_int,
    n_lines=c_size_t,
    n_words=c_size_t,
    unread_ink=c_int32,
)
TextPart = struct(
    "TextPart",
    text=c_char_p,
    start_bytes=c_size_t,
    quad_px=(c_float * 2) * 4,
    confidence=c_float,
    block=c_int32,
    i_line=c_size_t,
    i_first_word=c_size_t,
    n_words=c_size_t,
)


class CapiError(Exception):
    """A status other than OK; `result` is what a cancelled call still gave."""

    def __init__(self, status: int, message: str, result: Result | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.result = result


@dataclass(frozen=True)
class TextPlace:
    """What a crispvl_text_part tells."""

    text: str
    start_bytes: int
    quad: list[list[float]]
    confidence: float
    block: int
    i_line: int
    words: range


@dataclass(frozen=True)
class Result:
    """Everything a crispvl_result tells."""

    text: str
    ids: list[int]
    logprobs: list[float]
    info: Any
    lines: list[TextPlace]
    words: list[TextPlace]


class Library:
    """Calls by name, such as ``library.crispvl_version()``, and some helpers."""

    def __init__(self, path: Path) -> None:
        self.dll = ctypes.CDLL(str(path))
        for name in ("version", "status_name", "last_error", "result_text"):
            getattr(self.dll, f"crispvl_{name}").restype = c_char_p
        for name, kind in (("result_ids", c_int32), ("result_logprobs", c_float)):
            getattr(self.dll, f"crispvl_{name}").restype = POINTER(kind)
        self.dll.crispvl_session_logits.restype = POINTER(c_float)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dll, name)

    def call(self, name: str, *arguments: Any) -> None:
        """Calls crispvl_<name>; raises CapiError for a status other than OK."""
        if status := getattr(self.dll, f"crispvl_{name}")(*arguments):
            raise CapiError(status, self.last_error())

    def last_error(self) -> str:
        return str(self.dll.crispvl_last_error().decode())

    def load(self, **fields: Any) -> LoadedModel:
        params = LoadParams()
        self.dll.crispvl_load_params_init(byref(params), c_size_t(sizeof(params)))
        for name, value in fields.items():
            setattr(params, name, value.encode() if isinstance(value, str) else value)
        handle = c_void_p()
        self.call("model_load", byref(params), byref(handle))
        return LoadedModel(self, handle)

    def params(self, **fields: Any) -> Any:
        params = RecognizeParams()
        self.dll.crispvl_recognize_params_init(byref(params), c_size_t(sizeof(params)))
        for name, value in fields.items():
            setattr(params, name, value.encode() if isinstance(value, str) else value)
        return params


def image_of(source: str | bytes | NDArray[np.uint8], kind: int = ENCODED, **fields: Any) -> Any:
    """A crispvl_image of a path, a file's bytes or an array of pixels."""
    if isinstance(source, str):
        return Image(path=source.encode())
    if isinstance(source, bytes):
        return Image(data=ctypes.cast(source, c_void_p), n_bytes=len(source))
    image = Image(
        data=source.ctypes.data,
        n_bytes=source.nbytes,
        format=kind or {1: GREY, 3: RGB, 4: RGBA}[source.shape[2] if source.ndim == 3 else 1],
        width_px=source.shape[1],
        height_px=source.shape[0],
        **fields,
    )
    image.keep = source
    return image


def messages_of(*turns: tuple[str, Sequence[Any]]) -> Any:
    """An array of crispvl_message: roles with texts and images."""
    array = (Message * len(turns))()
    array.keep = []
    for message, (role, contents) in zip(array, turns, strict=True):
        parts = (Part * len(contents))()
        for part, content in zip(parts, contents, strict=True):
            if isinstance(content, str):
                part.text = content.encode()
            else:
                part.image = ctypes.pointer(content)
        array.keep.append(parts)
        message.role, message.parts, message.n_parts = role.encode(), parts, len(contents)
    return array


class LoadedModel:
    """A crispvl_model; freed with this object."""

    def __init__(self, library: Library, handle: c_void_p) -> None:
        self.library, self.handle = library, handle

    def __del__(self) -> None:
        self.library.crispvl_model_free(self.handle)

    @property
    def info(self) -> Any:
        info = ModelInfo()
        self.library.call("model_get_info", self.handle, byref(info), c_size_t(sizeof(info)))
        return info

    def recognize(self, source: Any, **fields: Any) -> Result:
        image = source if isinstance(source, Image) else image_of(source)
        return self._answer("recognize", byref(image), fields)

    def chat(self, messages: Any, **fields: Any) -> Result:
        return self._answer("chat", messages, fields)

    def prefill(self, session: c_void_p, ids: Sequence[int], rows: Any = None) -> None:
        """Appends to a session; ``rows`` are float32 ``[n, width]``."""
        embeddings = None if rows is None else c_void_p(rows.ctypes.data)
        n_rows = c_size_t(0 if rows is None else len(rows))
        array, n = (c_int32 * len(ids))(*ids), c_size_t(len(ids))
        self.library.call("session_prefill", session, array, n, embeddings, n_rows, None)

    def tokenize(self, text: str, special: bool) -> list[int]:
        return self._ids("tokenize", text.encode(), c_int32(special))

    def build_prompt(self, messages: Any, n_tiles: Sequence[int]) -> list[int]:
        counts = (c_int32 * len(n_tiles))(*n_tiles)
        n = len(messages), len(n_tiles)
        return self._ids("build_prompt", messages, c_size_t(n[0]), counts, c_size_t(n[1]))

    def detokenize(self, ids: Sequence[int]) -> bytes:
        array, n = (c_int32 * len(ids))(*ids), c_size_t()
        arguments = (self.handle, array, c_size_t(len(ids)))
        self.library.call("detokenize", *arguments, None, c_size_t(0), byref(n))
        text = ctypes.create_string_buffer(n.value + 1)
        self.library.call("detokenize", *arguments, text, c_size_t(len(text)), byref(n))
        return text.raw[: n.value]

    def tile(self, source: Any, min_tiles: int = 0, max_tiles: int = 0) -> NDArray[np.uint8]:
        image = source if isinstance(source, Image) else image_of(source)
        n, px = c_size_t(), self.info.tile_px
        arguments = (self.handle, byref(image), c_int32(min_tiles), c_int32(max_tiles))
        self.library.call("tile_image", *arguments, None, c_size_t(0), byref(n))
        tiles = np.empty((n.value, px, px, 3), np.uint8)
        room = (c_void_p(tiles.ctypes.data), c_size_t(tiles.nbytes), byref(n))
        self.library.call("tile_image", *arguments, *room)
        return tiles

    def encode(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        info = self.info
        out = np.empty((len(tiles), info.tokens_per_tile, info.width), np.float32)
        data, room = c_void_p(tiles.ctypes.data), c_void_p(out.ctypes.data)
        n = c_size_t(len(tiles))
        self.library.call("encode", self.handle, data, n, None, room, c_size_t(out.size))
        return out

    def _ids(self, name: str, *arguments: Any) -> list[int]:
        n = c_size_t()
        self.library.call(name, self.handle, *arguments, None, c_size_t(0), byref(n))
        ids = (c_int32 * n.value)()
        self.library.call(name, self.handle, *arguments, ids, n, byref(n))
        return list(ids)

    def _answer(self, name: str, first: Any, fields: dict[str, Any]) -> Result:
        params, handle = self.library.params(**fields), c_void_p()
        count = (c_size_t(len(first)),) if name == "chat" else ()
        function: Callable[..., int] = getattr(self.library, f"crispvl_{name}")
        status = function(self.handle, first, *count, byref(params), byref(handle))
        message = self.library.last_error()
        result = self._take(handle) if handle else None
        if status or result is None:
            raise CapiError(status, message, result)
        return result

    def _take(self, handle: c_void_p) -> Result:
        info = ResultInfo()
        self.library.call("result_get_info", handle, byref(info), c_size_t(sizeof(info)))
        n = info.n_tokens
        result = Result(
            text=self.library.crispvl_result_text(handle).decode(),
            ids=self.library.crispvl_result_ids(handle)[:n] if n else [],
            logprobs=self.library.crispvl_result_logprobs(handle)[:n] if n else [],
            info=info,
            lines=[self._place("line", handle, i) for i in range(info.n_lines)],
            words=[self._place("word", handle, i) for i in range(info.n_words)],
        )
        self.library.crispvl_result_free(handle)
        return result

    def _place(self, kind: str, handle: c_void_p, i: int) -> TextPlace:
        part = TextPart()
        arguments = handle, c_size_t(i), byref(part), c_size_t(sizeof(part))
        self.library.call(f"result_get_{kind}", *arguments)
        return TextPlace(
            text=part.text.decode(),
            start_bytes=part.start_bytes,
            quad=[list(corner) for corner in part.quad_px],
            confidence=part.confidence,
            block=part.block,
            i_line=part.i_line,
            words=range(part.i_first_word, part.i_first_word + part.n_words),
        )
