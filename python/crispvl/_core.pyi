"""The compiled core. `crispvl.Model` is its only caller; everything else goes through that."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

@final
class CancelToken:
    """Stops work from another thread: within one layer of encoding or one generated token."""

    def __init__(self) -> None: ...
    def cancel(self) -> None: ...
    @property
    def cancelled(self) -> bool: ...
    @property
    def n_looks(self) -> int:
        """How often work has looked at it: on a CPU once per operator."""

@final
class Sampler:
    def __init__(
        self,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        seed: int = 0,
        repetition_penalty: float = 1.0,
        repetition_window: int = 0,
    ) -> None: ...
    def set_history(self, ids: list[int]) -> None:
        """Takes ids for what was generated so far, which the repetition penalty looks back on."""

@final
class Model:
    """Weights and tokenizer: immutable, shared by any number of sessions and threads."""

    @staticmethod
    def load(
        path: str,
        mmproj: str | None,
        device: str,
        threads: int,
        vocab_only: bool,
        exact: bool = False,
        tokenizer: str | None = None,
        image_position_step: float = 0.0,
        layers: Sequence[tuple[str, int]] = (),
        kv_cache: str = "auto",
        mmap: bool = True,
    ) -> Model: ...
    @property
    def layer_devices(self) -> list[str]:
        """ggml's name of the device of each decoder layer."""

    @property
    def metadata(self) -> dict[str, Any]: ...
    @property
    def config(self) -> dict[str, dict[str, Any]]: ...
    @property
    def tensors(self) -> list[dict[str, Any]]: ...
    @property
    def device(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def kernels(self) -> list[str]: ...
    @property
    def tiles_per_graph(self) -> int: ...
    @property
    def kv_bytes(self) -> int:
        """Of keys and values of one token, all layers."""

    def tokenize(self, text: str, special: bool) -> list[int]: ...
    def detokenize(self, ids: list[int], skip_special: bool = False) -> bytes: ...
    def find_token(self, piece: str) -> int: ...
    def encode(
        self,
        tiles: NDArray[np.uint8],
        cancel: CancelToken | None,
        progress: Callable[[int, int], None] | None,
    ) -> NDArray[np.float32]: ...
    def trace(
        self, tiles: NDArray[np.uint8] | None, prompt_ids: list[int]
    ) -> dict[str, NDArray[np.float32]]: ...
    def prompt_span(self, ids: list[int]) -> int:
        """Positions of a prompt with its images; each generated token takes one more."""

    def new_session(self, n_ctx: int) -> Session: ...

@final
class Profiler:
    """Where the time of a model's graphs goes, by operation."""

    def __init__(self, model: Model) -> None: ...
    def stop(self) -> dict[str, tuple[int, float]]:
        """Watches no longer; operation -> (calls, seconds)."""

class Session:
    """One sequence and its KV cache; used by one thread at a time."""

    def prefill(
        self, ids: list[int], embeddings: NDArray[np.float32] | None, cancel: CancelToken | None
    ) -> None: ...
    def begin_prefill(self, ids: list[int], embeddings: NDArray[np.float32] | None) -> Prefill: ...
    def sample(self, sampler: Sampler, i_row: int = -1) -> tuple[int, float]: ...
    def decode(self, token_id: int, cancel: CancelToken | None) -> None: ...
    @staticmethod
    def decode_batch(
        sessions: list[Session],
        token_ids: list[list[int]],
        cancels: list[CancelToken | None] = ...,
    ) -> None: ...
    def logits(self, i_row: int = -1) -> NDArray[np.float32]: ...
    def rewind(self, n_past: int) -> None: ...
    @property
    def n_past(self) -> int: ...
    @property
    def n_ctx(self) -> int: ...

@final
class Prefill:
    """A prompt on its way into a session, a chunk at a time; the last one makes it whole."""

    @property
    def done(self) -> bool: ...
    def step(self, cancel: CancelToken | None = None) -> None: ...

def build_info() -> dict[str, Any]: ...
def devices() -> list[dict[str, Any]]: ...
def choose_grid(
    width: int, height: int, max_tiles: int = 12, tile_px: int = 448, min_tiles: int = 1
) -> tuple[int, int]: ...
def tile_image(
    pixels: NDArray[np.uint8],
    tile_px: int = 448,
    max_tiles: int = 12,
    min_tiles: int = 1,
    thumbnail: bool = True,
) -> NDArray[np.uint8]: ...

@final
class GgufFile:
    """Header of a file, or of all parts of a split one; `data` and `quantize` read its tensors."""

    def __init__(self, path: str) -> None: ...
    @property
    def paths(self) -> list[Path]: ...
    @property
    def metadata(self) -> dict[str, Any]: ...
    @property
    def tensors(self) -> list[dict[str, Any]]: ...
    def data(self, name: str) -> NDArray[np.uint8]: ...
    def quantize(
        self,
        path: str,
        types: dict[str, str],
        importance: dict[str, NDArray[np.float32]],
        set_keys: dict[str, str | int],
        drop_prefixes: list[str],
        threads: int,
        progress: Callable[[str, int, int], None] | None = None,
        cancel: CancelToken | None = None,
    ) -> None: ...

@final
class ImportanceCollector:
    """Watches a model's matrix products until it is closed."""

    def __init__(self, model: Model) -> None: ...
    @property
    def sums(self) -> dict[str, tuple[NDArray[np.float32], int]]: ...
    def close(self) -> None: ...

def convert_rows(
    rows: NDArray[np.uint8],
    from_type: str,
    to_type: str,
    n_cols: int,
    importance: NDArray[np.float32] | None = None,
    name: str = "rows",
    threads: int = 0,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint8]: ...
def tensor_types() -> list[dict[str, Any]]: ...
def load_to_measure(
    path: str,
    mmproj: str | None,
    device: str,
    exact: bool = False,
    layers: Sequence[tuple[str, int]] = (),
    kv_cache: str = "auto",
) -> Model: ...
def plan_memory(model: Model, n_tiles: int, n_prompt: int, n_ctx: int) -> list[dict[str, Any]]: ...
