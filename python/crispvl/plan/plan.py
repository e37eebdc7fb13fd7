"""What memory a model will take, told from its header before anything is loaded.

The sizes are not estimated: the engine builds the very graphs of a run over tensors without data
and asks ggml for the buffers they would take. What Python, the tokenizer and the header take is the
planning process itself, which has loaded just these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crispvl.errors import ContextOverflowError
from crispvl.plan.advice import advise
from crispvl.plan.memory import available_bytes, process_bytes

_PROMPT_TOKENS = 64  # system message, question and marks
_ANSWER_TOKENS = 2048  # as many as `GenerateOptions.max_tokens` allows


@dataclass(frozen=True, kw_only=True)
class DevicePlan:
    """Memory on one device, in bytes.

    Attributes:
        name: ggml's name of it; the host is ``CPU``.
        weights: Tensors of the file.
        table: The part of ``weights`` that is a token table on the host, of which only the rows in
            use become resident; not in ``peak``.
        packed: Copies of weights that the CPU's own kernels use.
        released: The part of ``weights`` that leaves memory once it is packed.
        kv_cache: Keys and values of one session.
        compute: Scratch of the largest graph.
        program: On the host, Python, header, tokenizer, pixels and image embeddings.
        free: What is free now; None if the system does not tell.
    """

    name: str
    weights: int
    table: int
    packed: int
    released: int
    kv_cache: int
    compute: int
    program: int
    free: int | None

    @property
    def peak(self) -> int:
        """The most that is resident at one time: while loading or while reading."""
        loading = self.released + self.packed + self.program
        weights = self.weights - self.table - self.released
        reading = weights + self.packed + self.kv_cache + self.compute + self.program
        return max(loading, reading)

    @property
    def fits(self) -> bool:
        """Whether the peak is free now."""
        return self.free is None or self.peak <= self.free


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Work and memory of one session.

    Attributes:
        n_pages: Images in the prompt.
        n_tiles: Tiles of all pages, thumbnails included.
        n_image_tokens: Tokens of them in the prompt.
        n_prompt: Tokens of the whole prompt.
        n_ctx: Tokens the KV cache holds.
        context_length: Tokens the model was trained for.
        devices: The host stands last.
        layers_that_fit: Decoder layers that the first device has room for, and all layers.
        advice: What to lower where it does not fit, in sentences.
    """

    n_pages: int
    n_tiles: int
    n_image_tokens: int
    n_prompt: int
    n_ctx: int
    context_length: int
    devices: Sequence[DevicePlan]
    layers_that_fit: tuple[int, int]
    advice: Sequence[str]

    @property
    def fits(self) -> bool:
        """Whether every device has room now."""
        return all(device.fits for device in self.devices)


def plan_model(
    model: str | Path,
    mmproj: str | Path | None = None,
    *,
    n_pages: int = 1,
    max_tiles: int | None = None,
    n_ctx: int | None = None,
    device: str = "auto",
    exact: bool = False,
) -> MemoryPlan:
    """Plans a model.

    Args:
        model: GGUF file; its header is enough.
        mmproj: Projector of a model in two files.
        n_pages: Images in one prompt.
        max_tiles: Most tiles per page, the thumbnail not counted; None means the model's own.
        n_ctx: Tokens the KV cache holds; None means the prompt and an answer of 2048 tokens.
        device: As for loading; it has to exist on this machine.
        exact: As for loading.

    Raises:
        ValueError: A count below one.
        FileNotFoundError: There is no such file.
        ModelFileError: The header is damaged or of an unknown kind.
        DeviceError: There is no such device.
        ContextOverflowError: The pages do not fit the model's context.
    """
    from crispvl import _core

    for name, value in (("pages", n_pages), ("tiles", max_tiles), ("ctx", n_ctx)):
        if value is not None and value < 1:
            raise ValueError(f"[plan] expected {name} of at least 1; found {value}; raise it")
    partner = None if mmproj is None else str(mmproj)
    core = _core.load_to_measure(str(model), partner, device, exact)
    planner = _Planner(core)
    tiles = max_tiles or int(core.config["image"]["max_tiles"])
    plan = planner.plan(n_pages, tiles, n_ctx)
    advice = () if plan.fits else advise(core.tensors, plan.devices, planner, plan, tiles, n_ctx)
    return MemoryPlan(**{**vars(plan), "advice": tuple(advice)})


class _Planner:
    """A header that can be asked for several plans."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self._config = core.config
        self._free = {d["name"]: d["memory_free"] for d in _devices()}
        self._program = process_bytes()

    def plan(self, n_pages: int, max_tiles: int, n_ctx: int | None) -> MemoryPlan:
        from crispvl import _core

        image, decoder = self._config["image"], self._config["decoder"]
        per_page = max_tiles + (1 if image["thumbnail"] and max_tiles > 1 else 0)
        n_tiles = n_pages * per_page
        n_image = n_tiles * self._config["projector"]["tokens_per_tile"]
        n_prompt = n_image + 2 * n_pages + _PROMPT_TOKENS
        context = decoder["context_length"]
        if n_prompt > (n_ctx or context):
            raise ContextOverflowError(
                f"[plan] expected a prompt of at most {n_ctx or context} tokens; {n_pages} pages "
                f"of {per_page} tiles take {n_prompt}; lower --pages or --tiles"
                + (", or raise --ctx" if n_ctx else "")
            )
        n_ctx = n_ctx or min(n_prompt + _ANSWER_TOKENS, context)
        sizes = _core.plan_memory(self._core, n_tiles, n_prompt, n_ctx)
        devices = [self._device(s, s is sizes[-1], n_tiles) for s in sizes]
        return MemoryPlan(
            n_pages=n_pages,
            n_tiles=n_tiles,
            n_image_tokens=n_image,
            n_prompt=n_prompt,
            n_ctx=n_ctx,
            context_length=context,
            devices=devices,
            layers_that_fit=self._layers_that_fit(devices[0]),
            advice=(),
        )

    def _device(self, sizes: dict[str, Any], is_host: bool, n_tiles: int) -> DevicePlan:
        free = available_bytes() if is_host else self._free.get(sizes["name"])
        return DevicePlan(
            name=sizes["name"],
            weights=sizes["weight_bytes"],
            table=self._table_bytes() if is_host else 0,
            packed=sizes["packed_bytes"],
            released=sizes["released_bytes"],
            kv_cache=sizes["kv_bytes"],
            compute=sizes["compute_bytes"],
            program=self._program + self._pixels_and_embeddings(n_tiles) if is_host else 0,
            free=free,
        )

    def _table_bytes(self) -> int:
        """The token table, where it is no head: looked up by rows, never read as a whole."""
        if self._config["decoder"]["tied_head"]:
            return 0
        tensors = self._core.tensors
        return sum(int(t["n_bytes"]) for t in tensors if t["name"] == "token_embd.weight")

    def _pixels_and_embeddings(self, n_tiles: int) -> int:
        tile_px = self._config["vision"]["tile_px"]
        projector = self._config["projector"]
        values = int(projector["tokens_per_tile"] * projector["width"])
        return n_tiles * (3 * int(tile_px) ** 2 + 4 * values)

    def _layers_that_fit(self, device: DevicePlan) -> tuple[int, int]:
        n_layers = int(self._config["decoder"]["n_layers"])
        if device.free is None:
            return n_layers, n_layers
        blocks = sum(t["n_bytes"] for t in self._core.tensors if t["name"].startswith("blk."))
        per_layer = (blocks + device.kv_cache) / n_layers
        others = device.peak - per_layer * n_layers
        return max(0, min(n_layers, int((device.free - others) / per_layer))), n_layers


def _devices() -> list[dict[str, Any]]:
    from crispvl import _core

    devices: list[dict[str, Any]] = _core.devices()
    return devices
