"""The compiled core. `crispvl.Model` is its only caller; everything else goes through that."""

from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

@final
class CancelToken:
    """Stops work from another thread: within one layer of encoding or one generated token.

    Args:
        parent: Cancelled with it.
        limit_s: Seconds from now after which it is cancelled; None means no limit.

    Raises:
        ValueError: The limit is not over 0.
    """

    def __init__(self, parent: CancelToken | None = None, limit_s: float | None = None) -> None: ...
    def cancel(self) -> None: ...
    @property
    def cancelled(self) -> bool: ...
    @property
    def expired(self) -> bool:
        """Whether the time limit was what cancelled."""

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
    def n_lanes(self) -> int:
        """Callers whose graphs are computed at once, where there are several."""

    @property
    def kv_bytes(self) -> int:
        """Of keys and values of one token, all layers."""

    def tokenize(self, text: str, special: bool, previous: int = -1) -> list[int]: ...
    def detokenize(self, ids: list[int], skip_special: bool = False) -> bytes: ...
    def find_token(self, piece: str) -> int: ...
    def encode_variants(
        self, tiles: NDArray[np.uint8], cancel: CancelToken | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
    def route(
        self,
        prompt_ids: list[int],
        large: NDArray[np.float32],
        small: NDArray[np.float32],
        scores: NDArray[np.float32],
    ) -> tuple[list[int], NDArray[np.float32]]: ...
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

def follow_libtiff(set_error_handler: int | None, set_warning_handler: int | None) -> None:
    """Hears a libtiff, given the addresses of TIFFSetErrorHandler and TIFFSetWarningHandler."""

def listen_to_libtiff() -> None:
    """Keeps what libtiff says on this thread from the terminal from now on."""

def listen_no_more_to_libtiff() -> bool:
    """Returns whether libtiff has spoken of damaged pixels on this thread."""

def require_stack() -> None:
    """Raises `OutOfMemoryError` where the stack of this thread is too small, or used up."""

def build_info() -> dict[str, Any]: ...
def devices() -> list[dict[str, Any]]: ...
def cpu_quota(root: str = "") -> float:
    """Returns the cores of CPU time that control groups grant, infinity without a quota.

    Args:
        root: What stands before ``/proc`` and before the groups' folders.
    """

def usable_cores(root: str = "") -> int:
    """Returns the physical cores within this process's affinity and quota, at least 1."""

def limit_features(features: list[str]) -> None:
    """From now on kernels are chosen as on a CPU that has these features at most."""

def choose_grid(
    width: int, height: int, max_tiles: int = 12, tile_px: int = 448, min_tiles: int = 1
) -> tuple[int, int]: ...
def jpeg_is_damaged(data: bytes) -> bool: ...
def vp8_is_damaged(data: bytes) -> bool: ...
def damaged_gif_frame(data: bytes) -> int | None: ...
def count_lzw_values(data: bytes, is_widened_early: bool, most: int) -> int | None: ...

class FaxGroup(Enum):
    ROWS = ...
    GROUP_3 = ...
    GROUP_4 = ...

def fax_agrees(
    data: bytes,
    is_black: NDArray[np.bool_],
    group: FaxGroup,
    has_two_dimensions: bool,
    is_aligned: bool,
) -> bool: ...
def ground_of(pixels: NDArray[np.uint8]) -> int | None: ...
def tile_image(
    pixels: NDArray[np.uint8],
    tile_px: int = 448,
    max_tiles: int = 12,
    min_tiles: int = 1,
    thumbnail: bool = True,
    multi_scale: bool = False,
) -> NDArray[np.uint8]: ...

@final
class LayoutLine:
    """A line of text on a page; coordinates are px of the page.

    Attributes:
        quad: float32 ``[4, 2]``, the corners of its ink, clockwise from the text's own top left.
        baseline: float32 ``[2, 2]``, from the left to the right edge of the quad.
        x_height_px: Of its text; of capitals alone, what belongs to their height.
        stroke_px: Mean width of its strokes.
        band: Px above and below the baseline that a strip of it shows.
        band_px: Both together.
        inverse: Light on dark.
        block: Index of its block.
        cell: Row and column within a table, otherwise None.
        words: float32 ``[n, 2]``, start and end of each along the line, from the quad's left edge.
        word_quads: float32 ``[n, 4, 2]``, their ink, corners as of `quad`.
    """

    @property
    def quad(self) -> NDArray[np.float32]: ...
    @property
    def baseline(self) -> NDArray[np.float32]: ...
    @property
    def x_height_px(self) -> float: ...
    @property
    def stroke_px(self) -> float: ...
    @property
    def band(self) -> tuple[float, float]: ...
    @property
    def band_px(self) -> float: ...
    @property
    def inverse(self) -> bool: ...
    @property
    def block(self) -> int: ...
    @property
    def cell(self) -> tuple[int, int] | None: ...
    @property
    def words(self) -> NDArray[np.float32]: ...
    @property
    def word_quads(self) -> NDArray[np.float32]: ...

@final
class LayoutBlock:
    """Lines that belong together. ``quad``: float32 ``[4, 2]``; ``lines``: in reading order."""

    @property
    def kind(self) -> Literal["text", "table"]: ...
    @property
    def quad(self) -> NDArray[np.float32]: ...
    @property
    def lines(self) -> list[int]: ...

@final
class Layout:
    """The text of a page, its lines and blocks in reading order.

    Attributes:
        width: Px of the page.
        height: Px of the page.
        angle_degrees: By which the lines of the upright page descend to the right.
        quarter_turns: Clockwise, 0 to 3, that make the page upright.
        lines: In reading order.
        blocks: In reading order.
        rules: float32 ``[n, 4, 2]``, lines of tables, frames and underlines.
        pictures: float32 ``[n, 4, 2]``, areas without text.
    """

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def angle_degrees(self) -> float: ...
    @property
    def quarter_turns(self) -> int: ...
    @property
    def lines(self) -> list[LayoutLine]: ...
    @property
    def blocks(self) -> list[LayoutBlock]: ...
    @property
    def rules(self) -> NDArray[np.float32]: ...
    @property
    def pictures(self) -> NDArray[np.float32]: ...

def find_layout(pixels: NDArray[np.uint8], cancel: CancelToken | None = None) -> Layout:
    """Finds the text of a page (csrc/layout/layout.h) in uint8 ``[h, w]`` or ``[h, w, 1|3|4]``."""

def is_legible(layout: Layout, tile_px: int, max_tiles: int, min_tiles: int = 1) -> bool:
    """Returns whether print is large enough on the tiles of the whole page."""

def find_regions(
    layout: Layout, tile_px: int, max_tiles: int, min_tiles: int = 1
) -> list[tuple[float, float, float, float]]:
    """Returns a page's parts as left, top, right and bottom in px (csrc/layout/regions.h)."""

def is_blank(pixels: NDArray[np.uint8]) -> bool:
    """Returns whether a page holds nothing to read (csrc/layout/blank.h)."""

def cut_line(
    pixels: NDArray[np.uint8],
    line: LayoutLine,
    height_px: int = 26,
    x_from: float | None = None,
    x_to: float | None = None,
    stretch: float = 1.0,
) -> NDArray[np.uint8]:
    """Cuts a line, or the part of it from ``x_from`` to ``x_to`` px along it, level and upright.

    Returns uint8 ``[height_px, w, 3]``: dark on near-white, the line's band scaled to the height,
    the width by as much and ``stretch``, with 3 px beside the text on both sides.
    """

StripForm: TypeAlias = tuple[int, int, int, int, int, int]
"""The fields of `crispvl.layout.strip_format.StripFormat` in their order."""

QuadOfPoints: TypeAlias = tuple[
    tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]
]
"""Corners in px of the page, clockwise from the text's own top left."""

DRAWN_SCALE: float
"""Of the height of strips, at which clean print is read about as well."""

def legible_channel(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the channel ``[h, w]`` of an RGB page in which its letters show, without dots."""

def is_drawn(pixels: NDArray[np.uint8]) -> bool:
    """Returns whether a page ``[h, w]`` has neither a scanner's noise nor a fax's hard edges."""

def strip_format(
    tile_px: int,
    tokens_per_tile: int,
    n_rows: int | None = None,
    pitch_px: int | None = None,
    height_px: int | None = None,
    left_px: int | None = None,
    gap_px: int | None = None,
) -> StripForm:
    """Returns how strips fill a tile: what is told, or else what the tile suggests.

    Raises:
        ModelFileError: They do not fit.
    """

@final
class Strip:
    """A part of a text line, from ``x_from`` to ``x_to`` px along it.

    Attributes:
        words: Start and end of the words of ink within, px along the line.
        within_word: It goes on with the word in which the strip before it was cut off.
        scale: Of its height to that of other strips.
    """

    def __init__(
        self,
        i_line: int,
        x_from: float,
        x_to: float,
        words: Sequence[tuple[float, float]],
        i_word: int,
        within_word: bool = False,
        scale: float = 1.0,
    ) -> None: ...
    @property
    def x_from(self) -> float: ...
    @property
    def x_to(self) -> float: ...
    @property
    def words(self) -> list[tuple[float, float]]: ...
    @property
    def within_word(self) -> bool: ...
    @property
    def scale(self) -> float: ...

def cut_into_strips(
    page: NDArray[np.uint8], i_line: int, line: LayoutLine, form: StripForm, scale: float = 1.0
) -> list[Strip]: ...

@final
class StripTile:
    """Strips on one tile.

    Attributes:
        pixels: uint8 ``[tile_px, tile_px, 3]``.
        aspects: Of each row, from top to bottom, its width by its height.
        most_tokens: Of an answer to it.
    """

    @property
    def pixels(self) -> NDArray[np.uint8]: ...
    @property
    def aspects(self) -> list[float]: ...
    @property
    def most_tokens(self) -> int: ...

def make_tile(
    page: NDArray[np.uint8],
    lines: Sequence[LayoutLine],
    strips: Sequence[Strip],
    form: StripForm,
    scale: float = 1.0,
    stretch: float = 1.0,
) -> StripTile: ...

@final
class Row:
    """A line of an answer, as its tokens were written.

    Attributes:
        ids: Of its tokens, that of the line break at its end included.
        logprobs: Of these tokens, natural.
        pieces: What text each token completes.
        text: Without white space at its ends and without the line break.
        sureness: Of each character of ``text`` the log-probability of its token; the least of
            them where it took several.
        ended: Whether the model wrote its end, by a line break or as the end of the answer.
        end_logprob: Of the end of the answer, where that ended it.
    """

    def __init__(
        self,
        *,
        ids: Sequence[int] = (),
        logprobs: Sequence[float] = (),
        pieces: Sequence[str] = (),
        text: str = "",
        sureness: Sequence[float] = (),
        ended: bool = False,
        end_logprob: float | None = None,
    ) -> None: ...
    ids: list[int]
    logprobs: list[float]
    pieces: list[str]
    text: str
    sureness: list[float]
    ended: bool
    end_logprob: float | None

def split_rows(
    tokens: Sequence[tuple[int, float, str]], stop_logprob: float | None = None
) -> list[Row]:
    """Returns the rows of an answer, at least one, from its tokens: id, log-probability, text.

    Args:
        tokens: One that holds a line break belongs to the row that it ends; what follows the break
            within the token is the next row's.
        stop_logprob: Of the token that ended the answer, where one did.
    """

@final
class Reading:
    """A row that was read for a strip.

    Attributes:
        row: What was read.
        fits: Whether its letters would be of a possible width; else it is another strip's.
        plausible: Whether the strip can show it, as far as its width and its words tell.
        doubtful: Whether it deserves to be read again.
    """

    @property
    def row(self) -> Row: ...
    @property
    def fits(self) -> bool: ...
    @property
    def plausible(self) -> bool: ...
    @property
    def doubtful(self) -> bool: ...

def judge(strip: Strip, row: Row, x_height: float) -> Reading:
    """Returns a row with what is to be thought of it; ``x_height``: of its line, px of the page."""

def place_words(
    words: Sequence[str], ink: Sequence[tuple[float, float]]
) -> list[tuple[int, int, float, float]]: ...
def visual_spans(text: str) -> list[tuple[int, int]]:
    """Returns the columns of the words of a line, in the text's order, where they are shown."""

@final
class ReadWord:
    """A word of a line.

    Attributes:
        text: Without white space.
        logprob: Of its least sure character.
        quad: Its place on the page.
    """

    def __init__(self, text: str, logprob: float, quad: QuadOfPoints) -> None: ...
    @property
    def text(self) -> str: ...
    @property
    def logprob(self) -> float: ...
    @property
    def quad(self) -> QuadOfPoints: ...

@final
class ReadLine:
    """A line as it was read.

    Attributes:
        words: From its beginning to its end.
        logprob: Mean over its characters.
        quad: Its place on the page.
        rows: From which it was joined.
        block: Number of its block.
    """

    def __init__(
        self,
        words: Sequence[ReadWord],
        logprob: float,
        quad: QuadOfPoints,
        rows: Sequence[Row],
        block: int = 0,
    ) -> None: ...
    @property
    def words(self) -> list[ReadWord]: ...
    @property
    def logprob(self) -> float: ...
    @property
    def quad(self) -> QuadOfPoints: ...
    @property
    def rows(self) -> list[Row]: ...
    @property
    def block(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def n_tokens(self) -> int: ...
    def beginning(self, n_tokens: int) -> ReadLine:
        """Returns the words that the first tokens wrote; or of the first what they wrote."""

@final
class Look:
    """How strips are shown to the model."""

LOOKS: list[Look]
"""One after the other: at every strip, at those in doubt, at those that are still unread."""

@final
class PageStrips:
    """See `crispvl.layout.page_strips.PageStrips`."""

    def __init__(
        self, pixels: NDArray[np.uint8], lines: Sequence[LayoutLine], form: StripForm
    ) -> None: ...
    def doubtful(self) -> list[int]: ...
    def unread(self) -> list[int]: ...
    def wants(self, look: Look, number: int) -> bool: ...
    def tiles_of(self, numbers: Sequence[int], look: Look) -> list[list[list[int]]]: ...
    def shown_to(self, look: Look) -> list[list[list[int]]]: ...
    def settled(self, i_lines: Sequence[int]) -> bool: ...
    def tile(self, numbers: Sequence[Sequence[int]], look: Look) -> StripTile: ...
    def take(self, numbers: Sequence[Sequence[int]], rows: Sequence[Row], whole: bool) -> None: ...
    def join(self, i_line: int) -> ReadLine: ...

@final
class PlacedWord:
    """A word of a page's text; ``start`` counts characters."""

    @property
    def start(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def confidence(self) -> float: ...
    @property
    def quad(self) -> QuadOfPoints: ...

@final
class PlacedLine:
    """A line of a page's text; ``start`` counts characters."""

    @property
    def start(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def confidence(self) -> float: ...
    @property
    def quad(self) -> QuadOfPoints: ...
    @property
    def block(self) -> int: ...
    @property
    def words(self) -> list[PlacedWord]: ...

@final
class PageWriter:
    """See `crispvl.layout.page_writer.PageWriter`."""

    def __init__(self, layout: Layout, as_markdown: bool, only_tables: bool) -> None: ...
    @property
    def text(self) -> str: ...
    @property
    def waiting(self) -> list[int]: ...
    def put(self, lines: dict[int, ReadLine]) -> tuple[str, list[PlacedLine]]: ...
    @property
    def markdown(self) -> str: ...

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
        path: Path,
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
    def sums(self) -> dict[str, tuple[NDArray[np.float32], int | NDArray[np.int64]]]: ...
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
