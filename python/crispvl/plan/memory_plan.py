"""What a plan tells: the memory of each device, and what would make it fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crispvl.plan.split import Shares


@dataclass(frozen=True, kw_only=True)
class DevicePlan:
    """Memory on one device, in bytes.

    Attributes:
        name: ggml's name of it; the host is ``CPU``.
        weights: Tensors of the file.
        table: The part of ``weights`` that is a token table on the host; only its rows in
            use become resident; not in ``peak``.
        packed: Copies of weights that the CPU's own kernels use.
        released: The part of ``weights`` that leaves memory once it is packed.
        kv_cache: Keys and values of all streams.
        compute: Scratch of the largest graph.
        program: On the host, Python, header, tokenizer, pixels and image embeddings.
        layers: Decoder layers that are here.
        free: What is free now; None if the system does not tell.
        limit: The most that may be used of it; None without one.
    """

    name: str
    weights: int
    table: int
    packed: int
    released: int
    kv_cache: int
    compute: int
    program: int
    layers: int
    free: int | None
    limit: int | None

    @property
    def peak(self) -> int:
        """The most that is resident at one time: while loading or while reading."""
        loading = self.released + self.packed + self.program
        weights = self.weights - self.table - self.released
        reading = weights + self.packed + self.kv_cache + self.compute + self.program
        return max(loading, reading)

    @property
    def room(self) -> int | None:
        """What may be used of it: the smaller of ``free`` and ``limit``."""
        return min((n for n in (self.free, self.limit) if n is not None), default=None)

    @property
    def fits(self) -> bool:
        """Whether there is room for the peak."""
        return self.room is None or self.peak <= self.room


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Work of one session, memory of all that run at the same time.

    Attributes:
        n_pages: Images in the prompt.
        n_tiles: Tiles of all pages, thumbnails included.
        n_image_tokens: Tokens of them in the prompt.
        n_prompt: Tokens of the whole prompt.
        n_ctx: Tokens the KV cache holds.
        context_length: Tokens the model was trained for.
        devices: The host comes last.
        shares: Where a model is split, the devices asked for with their numbers of layers.
        layers_that_fit: Decoder layers that the first device has room for, and all layers.
        layer_weights: Bytes of each decoder layer's tensors, wherever they are.
        head_weights: Bytes of the output head's.
        advice: What to lower where it does not fit, in sentences.
    """

    n_pages: int
    n_tiles: int
    n_image_tokens: int
    n_prompt: int
    n_ctx: int
    context_length: int
    devices: Sequence[DevicePlan]
    shares: Shares
    layers_that_fit: tuple[int, int]
    layer_weights: Sequence[int]
    head_weights: int
    advice: Sequence[str]

    @property
    def fits(self) -> bool:
        """Whether every device has room now."""
        return all(device.fits for device in self.devices)
