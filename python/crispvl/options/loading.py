"""How a model is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from crispvl.options.fields import check, check_optional_count, fraction, option, with_values
from crispvl.options.sizes import device_sizes, parse_device_sizes

KvType: TypeAlias = Literal["auto", "f32", "f16", "q8_0"]
"""Of keys and values; ``q8_0`` takes half of ``f16``'s memory, and reads prompts more slowly."""


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a model is loaded.

    ``max_memory`` gives the most to use of each device, as ``{"cuda:0": "20GiB", "cpu": "40GiB"}``,
    instead of ``device``: the decoder's layers are split over these devices, the first ones filled
    first, as `crispvl.plan` plans it for one page and 2048 tokens. Without ``mmap`` the files are
    copied, which takes longer and as much memory as they are large, but then they may be changed,
    cut or unmounted. ``image_position_step`` is that of V2PE (arXiv 2412.09616).
    """

    device: str = option("auto", "auto, cpu, cuda, cuda:1, metal, vulkan …", metavar="NAME")
    threads: int | None = option(None, "CPU threads (default: one per usable core)", metavar="N")
    exact: bool = option(False, "compute in float32 throughout: slower, for comparisons")
    tokenizer: str | os.PathLike[str] | None = option(  # noqa: RUF009
        None,
        "checkpoint folder or GGUF file whose tokenizer is used instead of the model's",
        metavar="FILE",
    )
    max_memory: Mapping[str, int | str] | None = option(
        None,
        "most memory to use on each device, such as cuda:0=20GiB,cpu=40GiB; the layers are split "
        "over these devices",
        parse=parse_device_sizes,
        metavar="SIZES",
    )
    kv_cache: KvType = option(  # noqa: RUF009
        "auto", "type of the KV cache; auto is f16, or f32 for float32 weights and with --exact"
    )
    image_position_step: float | None = option(
        None,
        "how far an image token advances the position: 1, 1/2 … 1/256 (default: as the file says)",
        parse=fraction,
        metavar="STEP",
    )
    mmap: bool = option(
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
        return with_values(options or cls(), settings)

    def __post_init__(self) -> None:
        check("device", self.device, str, "a device's name", lambda value: value != "")
        check_optional_count("threads", self.threads)
        check("exact", self.exact, bool, "a bool", lambda v: True)
        check("mmap", self.mmap, bool, "a bool", lambda v: True)
        if self.max_memory is not None:
            device_sizes(self.max_memory)
            if self.device != "auto":
                raise ValueError(
                    "[options] expected max_memory or a device; found both; leave device "
                    f"{self.device!r} out, as max_memory names the devices"
                )
        types = get_args(KvType)
        check("kv_cache", self.kv_cache, str, f"one of {', '.join(types)}", lambda v: v in types)
        if self.image_position_step is not None:
            check("image_position_step", self.image_position_step, float, "over 0", lambda v: v > 0)
