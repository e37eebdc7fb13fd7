"""Options, each declared once: the Python API, the command line and the server read these fields.

A field's ``metadata["help"]`` is its one sentence of documentation on the command line, and
``metadata["parse"]`` reads its value there where the type is not enough. Values are checked when an
object is made, so an object that exists is valid.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, TypeAlias, get_args

from crispvl.options.page_ranges import check_page_ranges
from crispvl.options.sizes import device_sizes, parse_device_sizes


def _option(
    default: Any, help_text: str, parse: Callable[[str], Any] | None = None, metavar: str = ""
) -> Any:
    """A field; ``parse`` reads a value from the command line where its type does not suffice."""
    return field(default=default, metadata={"help": help_text, "parse": parse, "metavar": metavar})


def fraction(text: str) -> float:
    """Reads ``1/4`` and ``0.25`` alike."""
    try:
        return float(Fraction(text))
    except (ValueError, ArithmeticError) as error:  # 1/0 and 1e999 too
        raise ValueError(
            f"[options] expected a number such as 1/4; found {text!r}; write it so"
        ) from error


MOST_TILES = 1024
"""Of an image, the thumbnail not counted: more than any model was trained with."""

Task: TypeAlias = Literal[
    "text", "markdown", "table", "formula", "key-value", "caption", "grounding"
]
"""What to ask of a page; `crispvl.prompts.tasks` has the prompts."""

KvType: TypeAlias = Literal["auto", "f32", "f16", "q8_0"]
"""Of keys and values; ``q8_0`` takes half of ``f16``'s memory, and reads prompts more slowly."""


Layout: TypeAlias = Literal["page", "lines", "blocks", "auto"]
"""How a page is shown to the model: whole, as it was published; as strips of its lines, many to a
tile; each block of it by itself; or as suits the page and the model best."""

MAX_TOKENS = 2048
"""Of an answer, where nothing else is said."""


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a model is loaded.

    ``max_memory`` gives the most to use of each device, as ``{"cuda:0": "20GiB", "cpu": "40GiB"}``,
    instead of ``device``: the decoder's layers are split over these devices, the first ones filled
    first, as `crispvl.plan` plans it for one page and 2048 tokens. Without ``mmap`` the files are
    copied, which takes longer and as much memory as they are large, but then they may be changed,
    cut or unmounted. ``image_position_step`` is that of V2PE (arXiv 2412.09616).
    """

    device: str = _option("auto", "auto, cpu, cuda, cuda:1, metal, vulkan …", metavar="NAME")
    threads: int | None = _option(None, "CPU threads (default: one per usable core)", metavar="N")
    exact: bool = _option(False, "compute in float32 throughout: slower, for comparisons")
    tokenizer: str | os.PathLike[str] | None = _option(  # noqa: RUF009
        None,
        "checkpoint folder or GGUF file whose tokenizer is used instead of the model's",
        metavar="FILE",
    )
    max_memory: Mapping[str, int | str] | None = _option(
        None,
        "most memory to use on each device, such as cuda:0=20GiB,cpu=40GiB; the layers are split "
        "over these devices",
        parse=parse_device_sizes,
        metavar="SIZES",
    )
    kv_cache: KvType = _option(  # noqa: RUF009
        "auto", "type of the KV cache; auto is f16, or f32 for float32 weights and with --exact"
    )
    image_position_step: float | None = _option(
        None,
        "how far an image token advances the position: 1, 1/2 … 1/256 (default: as the file says)",
        parse=fraction,
        metavar="STEP",
    )
    mmap: bool = _option(
        True, "map the files; if they are copied instead, they load more slowly but may then change"
    )

    @classmethod
    def of(
        cls,
        options: LoadOptions | None,
        device: str = "auto",
        threads: int | None = None,
        **settings: Any,
    ) -> LoadOptions:
        """Returns options with what else is given; ``auto`` and None leave them as they are.

        Raises:
            TypeError: There is no such option.
        """
        if device != "auto":
            settings["device"] = device
        if threads is not None:
            settings["threads"] = threads
        return replace(options or cls(), **settings)

    def __post_init__(self) -> None:
        _check("device", self.device, str, "a device's name", lambda value: value != "")
        _check_optional_count("threads", self.threads)
        _check("exact", self.exact, bool, "a bool", lambda v: True)
        _check("mmap", self.mmap, bool, "a bool", lambda v: True)
        if self.max_memory is not None:
            device_sizes(self.max_memory)
            if self.device != "auto":
                raise ValueError(
                    "[options] expected max_memory or a device; found both; leave device "
                    f"{self.device!r} out, as max_memory names the devices"
                )
        types = get_args(KvType)
        _check("kv_cache", self.kv_cache, str, f"one of {', '.join(types)}", lambda v: v in types)
        if self.image_position_step is not None:
            _check(
                "image_position_step", self.image_position_step, float, "over 0", lambda v: v > 0
            )


@dataclass(frozen=True, kw_only=True)
class GenerateOptions:
    """Limits and sampling of one answer."""

    max_tokens: int | None = _option(
        None,
        f"most tokens to generate (default: {MAX_TOKENS}; no limit when reading by lines)",
        metavar="N",
    )
    temperature: float = _option(
        0.0, "0 always takes the most likely token; higher values vary more", metavar="T"
    )
    top_k: int = _option(0, "sample from the K most likely tokens; 0 from all", metavar="K")
    top_p: float = _option(
        1.0, "sample from the most likely tokens with this total probability", metavar="P"
    )
    min_p: float = _option(
        0.0, "drop tokens less likely than P times the most likely one", metavar="P"
    )
    seed: int = _option(0, "seed of the sampler", metavar="N")
    repetition_penalty: float = _option(
        1.0, "divide the odds of tokens used before by X; 1 is off", metavar="X"
    )
    repetition_window: int = _option(
        0, "how many tokens back the penalty looks; 0 is all generated tokens", metavar="N"
    )
    stop_at_eos: bool = _option(True, "stop at the model's end-of-answer tokens")
    speculate: bool = _option(
        True, "guess tokens where text repeats, and check them together; the answer is the same"
    )

    def __post_init__(self) -> None:
        _check_optional_count("max_tokens", self.max_tokens)
        _check("temperature", self.temperature, float, "in 0…100", lambda v: 0 <= v <= 100)
        _check("top_k", self.top_k, int, "in 0…2^63-1", lambda v: 0 <= v < 1 << 63)
        _check(
            "top_p", self.top_p, float, "in 0…1, 0 excluded",
            lambda v: 0 < v <= 1 and _single(v) > 0,
        )  # fmt: skip
        _check(
            "min_p", self.min_p, float, "in 0…1, 1 excluded",
            lambda v: 0 <= v < 1 and _single(v) < 1,
        )  # fmt: skip
        _check("seed", self.seed, int, "in 0…2^64-1", lambda v: 0 <= v < 1 << 64)
        _check(
            "repetition_penalty", self.repetition_penalty, float, "in 0…100, 0 excluded",
            lambda v: 0 < v <= 100 and _single(v) > 0,
        )  # fmt: skip
        _check(
            "repetition_window", self.repetition_window, int, "in 0…2^63-1",
            lambda v: 0 <= v < 1 << 63,
        )  # fmt: skip
        _check("stop_at_eos", self.stop_at_eos, bool, "a bool", lambda v: True)
        _check("speculate", self.speculate, bool, "a bool", lambda v: True)


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """Which pages of a document are read, and how they become images."""

    pages: str | None = _option(
        None, "pages to read, such as 1-3,7,10- (default: all)", metavar="RANGES"
    )
    dpi: int = _option(
        200, "least resolution at which the pages of a PDF are rendered", metavar="DPI"
    )
    password: str | None = _option(None, "password of an encrypted PDF", metavar="WORD")
    allow_urls: bool = _option(False, "fetch documents given as http and https addresses")

    def __post_init__(self) -> None:
        if self.pages is not None:
            _check("pages", self.pages, str, "a page range", lambda value: True)
            check_page_ranges(self.pages)
        _check("dpi", self.dpi, int, "in 36…1200", lambda v: 36 <= v <= 1200)
        if self.password is not None:
            _check("password", self.password, str, "a string", lambda value: True)
        _check("allow_urls", self.allow_urls, bool, "a bool", lambda v: True)


@dataclass(frozen=True, kw_only=True)
class ReadOptions(GenerateOptions, InputOptions):
    """All of `GenerateOptions` and `InputOptions`, and how a page is asked about and cut up."""

    task: Task = _option("text", "what to ask for if no prompt is given")  # noqa: RUF009
    max_tiles: int | None = _option(
        None, "most tiles per image (default: as the model says)", metavar="N"
    )
    min_tiles: int | None = _option(
        None, "fewest tiles per image (default: as the model says)", metavar="N"
    )
    layout: Layout | None = _option(  # noqa: RUF009
        None,
        "show the page to the model as a whole, as strips of its lines, or block by block; auto "
        "chooses (default: what the model was made for)",
    )
    thinking: bool | None = _option(
        None,
        "let a model that can think before it answers do so (slower), Qianfan-OCR about the "
        "layout (default: as its chat template says)",
    )
    skip_blank: bool = _option(True, "give blank pages an empty text without asking the model")
    repair_loops: bool = _option(True, "let the model try again where it repeats itself")
    groundedness: bool = _option(
        False, "measure how much of the answer comes from the image (slower)"
    )
    streams: int | None = _option(
        None,
        "most pages to read at the same time (default: up to 8, as memory allows)",
        metavar="N",
    )
    page_time_limit: float | None = _option(
        None, "stop a page after SECONDS and keep its text so far", metavar="SECONDS"
    )
    time_limit: float | None = _option(
        None, "stop a document after SECONDS and keep its text so far", metavar="SECONDS"
    )

    def __post_init__(self) -> None:
        GenerateOptions.__post_init__(self)
        InputOptions.__post_init__(self)
        tasks = get_args(Task)
        _check("task", self.task, str, f"one of {', '.join(tasks)}", lambda v: v in tasks)
        layouts = get_args(Layout)
        if self.layout is not None:
            _check(
                "layout", self.layout, str, f"one of {', '.join(layouts)}", lambda v: v in layouts
            )
        for name in ("max_tiles", "min_tiles"):
            if getattr(self, name) is not None:
                _check(
                    name, getattr(self, name), int, f"in 1…{MOST_TILES}",
                    lambda v: 1 <= v <= MOST_TILES,
                )  # fmt: skip
        if self.max_tiles is not None and self.min_tiles is not None:
            check_tiles(self.min_tiles, self.max_tiles)
        _check_optional_count("streams", self.streams)
        for name in ("skip_blank", "repair_loops", "groundedness"):
            _check(name, getattr(self, name), bool, "a bool", lambda v: True)
        if self.thinking is not None:
            _check("thinking", self.thinking, bool, "a bool", lambda v: True)
        for name in ("page_time_limit", "time_limit"):
            if getattr(self, name) is not None:
                _check(name, getattr(self, name), float, "over 0", lambda v: v > 0)


def check_tiles(min_tiles: int, max_tiles: int) -> None:
    """Raises a ValueError where no number of tiles is allowed."""
    if min_tiles > max_tiles:
        raise ValueError(
            f"[options] expected min_tiles in 1…{max_tiles}, at most max_tiles; found "
            f"{min_tiles}; lower it, or raise max_tiles"
        )


def _single(value: float) -> float:
    """The value as the core computes with it, in 32 bits."""
    return ctypes.c_float(value).value


def _check(
    name: str, value: Any, kind: type, expected: str, accepts: Callable[[Any], bool]
) -> None:
    is_kind = isinstance(value, (int, float) if kind is float else kind)
    if not is_kind or (isinstance(value, bool) and kind is not bool):
        raise TypeError(
            f"[options] expected {name} of type {kind.__name__}; found {value!r}; change it"
        )
    if (kind is float and not abs(value) < math.inf) or not accepts(value):
        raise ValueError(f"[options] expected {name} to be {expected}; found {value!r}; change it")


def _check_optional_count(name: str, value: Any) -> None:
    if value is not None:
        _check(name, value, int, "at least 1", lambda v: v >= 1)
