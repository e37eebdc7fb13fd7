"""What memory a model will take, from its header, before anything is loaded.

The sizes are not estimated: the engine builds the very graphs of a run over tensors without data
and asks ggml for the buffers they would take. What Python, the tokenizer and the header take is the
planning process itself, which has loaded just these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crispvl.errors import ContextOverflowError, OutOfMemoryError
from crispvl.model_config import ModelConfig
from crispvl.options import MAX_TOKENS, LoadOptions
from crispvl.options.sizes import device_sizes
from crispvl.plan.memory_plan import DevicePlan, MemoryPlan
from crispvl.plan.split import Shares, find_shares
from crispvl.plan.system_memory import available_bytes, process_bytes
from crispvl.tiling import most_tiles

_PROMPT_TOKENS = 64  # system message, question and marks
_MOST = 2**31 - 1  # of anything counted, so that products fit the core's 64 bits
_MARK_TOKENS = 2  # of each image, where it begins and ends

_Work = tuple[int, int, int]
"""Tiles, prompt tokens and context tokens."""


def plan_model(
    model: str | Path,
    mmproj: str | Path | None = None,
    *,
    n_pages: int = 1,
    max_tiles: int | None = None,
    n_ctx: int | None = None,
    streams: int = 1,
    options: LoadOptions | None = None,
    **settings: Any,
) -> MemoryPlan:
    """Plans a model.

    Args:
        model: GGUF file; its header is enough.
        mmproj: Projector of a model in two files.
        n_pages: Images in one prompt.
        max_tiles: Most tiles per page, the thumbnail not counted; None means the model's own.
        n_ctx: Tokens the KV cache holds; None means the prompt and an answer of 2048 tokens.
        streams: Sessions that run at the same time.
        options: As for loading; the device has to exist on this machine.
        **settings: Single fields of `LoadOptions`, such as ``device="cpu"``.

    Raises:
        ValueError: A count below one or beyond 32 bits, or sizes that are none.
        FileNotFoundError: There is no such file.
        ModelFileError: The header is damaged or of an unknown kind.
        DeviceError: There is no such device.
        ContextOverflowError: The pages do not fit the model's context.
    """
    _check_counts(pages=n_pages, tiles=max_tiles, ctx=n_ctx, streams=streams)
    planner = _Planner(model, mmproj, LoadOptions.of(options, **settings), streams)
    return _advised(planner, n_pages, max_tiles or planner.max_tiles, n_ctx)


def _check_counts(**counts: int | None) -> None:
    for name, value in counts.items():
        if value is not None and not 1 <= value <= _MOST:
            raise ValueError(
                f"[plan] expected {name} of at least 1 and at most {_MOST}; found {value}; "
                "change it"
            )


def _advised(planner: _Planner, n_pages: int, tiles: int, n_ctx: int | None) -> MemoryPlan:
    plan = planner.plan(n_pages, tiles, n_ctx)
    if plan.fits:
        return plan
    from crispvl.plan.advice import advise  # loads gguf, of no use to a model that fits

    advice = list(advise(planner.tensors, plan.devices, planner, plan, tiles, n_ctx))
    max_memory = planner.options.max_memory
    if max_memory is not None and "cpu" not in max_memory:
        advice.append("let the host take layers too (cpu=SIZE in max_memory)")
    return replace(plan, advice=tuple(advice))


def place_model(
    model: str | Path,
    mmproj: str | Path | None,
    options: LoadOptions,
    *,
    max_tiles: int | None = None,
) -> Shares:
    """Splits a model over the devices of ``max_memory``.

    There is room for one page and an answer of 2048 tokens, or for as much as the context holds
    where that is less.

    Returns:
        Devices with their numbers of decoder layers.

    Raises:
        OutOfMemoryError: It does not fit; the message says what would make it.
    """
    _check_counts(tiles=max_tiles)
    planner = _Planner(model, mmproj, options, 1, cut_prompts=True)
    tiles = min(max_tiles or planner.max_tiles, planner.tiles_in_context())
    plan = _advised(planner, 1, tiles, None)
    if plan.fits:
        return plan.shares
    found = ", ".join(
        f"{d.peak >> 20} MiB on {d.name}, which has {(d.room or 0) >> 20}"
        for d in plan.devices
        if not d.fits
    )
    raise OutOfMemoryError(
        f"[max_memory] expected a model that fits; found {found}; {'; or '.join(plan.advice)}"
    )


class _Planner:
    """A header that can be asked for several plans.

    With ``cut_prompts`` a prompt that the context does not hold counts as far as it does.
    """

    def __init__(
        self,
        model: str | Path,
        mmproj: str | Path | None,
        options: LoadOptions,
        n_streams: int,
        *,
        cut_prompts: bool = False,
    ) -> None:
        self._cut_prompts = cut_prompts
        self._files = str(model), None if mmproj is None else str(mmproj)
        self.options = options
        self._n_streams = n_streams
        self._limits = device_sizes(options.max_memory) if options.max_memory else {}
        self._core = self._open(())
        self.config = ModelConfig(self._core.config)
        self.tensors = self._core.tensors
        self._free = {d["name"]: d["memory_free"] for d in _devices()}
        self._program = process_bytes()

    def _open(self, shares: Shares) -> Any:
        from crispvl._core import load_to_measure

        options = self.options
        return load_to_measure(
            *self._files, options.device, options.exact, shares, options.kv_cache
        )

    @property
    def max_tiles(self) -> int:
        """Most tiles of a page, by the model itself."""
        return self.config.image.max_tiles

    def tiles_in_context(self) -> int:
        """Tiles of one page, the thumbnail not counted, that the context holds; one at least."""
        image = self.config.image
        room = self.config.decoder.context_length - _PROMPT_TOKENS - _MARK_TOKENS
        n_tiles = room // self.config.projector.tokens_per_tile
        return max((n_tiles - image.thumbnail) // (2 if image.multi_scale else 1), 1)

    def plan(self, n_pages: int, max_tiles: int, n_ctx: int | None) -> MemoryPlan:
        image, decoder = self.config.image, self.config.decoder
        per_page = most_tiles(max_tiles, image.thumbnail, image.multi_scale)
        n_tiles = n_pages * per_page
        n_image = n_tiles * self.config.projector.tokens_per_tile
        n_prompt = n_image + _MARK_TOKENS * n_pages + _PROMPT_TOKENS
        context = decoder.context_length
        if self._cut_prompts:
            n_prompt = min(n_prompt, context)
        if n_prompt > (n_ctx or context):
            raise ContextOverflowError(
                f"[plan] expected a prompt of at most {n_ctx or context} tokens; found "
                f"{n_prompt}, from {n_pages} pages of {per_page} tiles; lower --pages or --tiles"
                + (", or raise --ctx" if n_ctx else "")
                + ("; many pages one by one are planned with --rate" if n_pages > 1 else "")
            )
        n_ctx = n_ctx or min(n_prompt + MAX_TOKENS, context)
        shares, devices = self._place((n_tiles, n_prompt, n_ctx))
        return MemoryPlan(
            n_pages=n_pages,
            n_tiles=n_tiles,
            n_image_tokens=n_image,
            n_prompt=n_prompt,
            n_ctx=n_ctx,
            context_length=context,
            devices=devices,
            shares=shares,
            layers_that_fit=self._layers_that_fit(devices[0]),
            layer_weights=self._layer_weights(),
            head_weights=self._head_weights(),
            advice=(),
        )

    def _place(self, work: _Work) -> tuple[Shares, list[DevicePlan]]:
        whole = self._measure(self._core, (), work)
        if not self._limits:
            return (), whole
        n_layers = self.config.decoder.n_layers
        kv_cache = sum(d.kv_cache for d in whole) // n_layers
        layers = [n_bytes + kv_cache for n_bytes in self._layer_weights()]
        measured: dict[Shares, list[DevicePlan]] = {}

        def measure(shares: Shares) -> dict[str, DevicePlan]:
            devices = measured[shares] = self._measure(self._open(shares), shares, work)
            return _by_name(shares, devices)

        shares = find_shares(self._limits, layers, self._head_weights(), measure)
        return shares, measured[shares]

    def _measure(self, core: Any, shares: Shares, work: _Work) -> list[DevicePlan]:
        from crispvl._core import plan_memory

        sizes = plan_memory(core, *work)
        counts = Counter(core.layer_devices)
        plans = [self._device(s, s is sizes[-1], counts[s["name"]], work[0]) for s in sizes]
        limits = {id(plan): self._limits[name] for name, plan in _by_name(shares, plans).items()}
        return [replace(plan, limit=limits.get(id(plan))) for plan in plans]

    def _device(
        self, sizes: dict[str, Any], is_host: bool, n_layers: int, n_tiles: int
    ) -> DevicePlan:
        return DevicePlan(
            name=sizes["name"],
            weights=sizes["weight_bytes"],
            table=self._table_bytes() if is_host else 0,
            packed=sizes["packed_bytes"],
            released=sizes["released_bytes"],
            kv_cache=self._n_streams * sizes["kv_bytes"],
            compute=sizes["compute_bytes"],
            program=self._program + self._pixels_and_embeddings(n_tiles) if is_host else 0,
            layers=n_layers,
            free=available_bytes() if is_host else self._free.get(sizes["name"]),
            limit=None,
        )

    def _bytes_of(self, prefix: str) -> int:
        return sum(int(t["n_bytes"]) for t in self.tensors if t["name"].startswith(prefix))

    def _layer_weights(self) -> list[int]:
        return [self._bytes_of(f"blk.{i}.") for i in range(self.config.decoder.n_layers)]

    def _head_weights(self) -> int:
        return self._bytes_of("output.weight") or self._bytes_of("token_embd.weight")

    def _table_bytes(self) -> int:
        """The token table, where it is no head: looked up by rows, never read as a whole."""
        if self.config.decoder.tied_head:
            return 0
        return self._bytes_of("token_embd.weight")

    def _pixels_and_embeddings(self, n_tiles: int) -> int:
        tile_px = self.config.vision.tile_px
        projector = self.config.projector
        values = projector.tokens_per_tile * projector.width
        return n_tiles * (3 * int(tile_px) ** 2 + 4 * values)

    def _layers_that_fit(self, device: DevicePlan) -> tuple[int, int]:
        n_layers = self.config.decoder.n_layers
        if device.room is None or device.layers == 0:
            return device.layers, n_layers
        own = self._bytes_of("blk.") * device.layers / n_layers + device.kv_cache
        per_layer = own / device.layers
        others = device.peak - own
        return max(0, min(n_layers, int((device.room - others) / per_layer))), n_layers


def _by_name(shares: Shares, devices: Sequence[DevicePlan]) -> dict[str, DevicePlan]:
    """Plans by the names asked for: the devices in their order, the host last."""
    others = iter(devices)
    return {name: devices[-1] if name.lower() == "cpu" else next(others) for name, _ in shares}


def _devices() -> list[dict[str, Any]]:
    from crispvl._core import devices

    found: list[dict[str, Any]] = devices()
    return found
