"""The low level: one loaded model, token ids in, arrays and token ids out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crispvl.engine.prefill import Progress
from crispvl.engine.request import Request
from crispvl.engine.token_stream import Token, TokenStream
from crispvl.hub.model_file import ModelFile
from crispvl.inputs.utf8 import check_encodable
from crispvl.model_config import ModelConfig
from crispvl.options import GenerateOptions, LoadOptions, with_values
from crispvl.prompts.vocabulary import Vocabulary
from crispvl.results.generation import Generation
from crispvl.variants import explain

if TYPE_CHECKING:
    from crispvl._core import CancelToken
    from crispvl._core import Model as CoreModel
    from crispvl.plan.split import Shares


class Model:
    """Weights and tokenizer of one InternVL model. Immutable; any thread may use it.

    Arrays are row-major. Get one with `Model.load`.

    Example:
        >>> model = Model.load("model.gguf")
        >>> model.detokenize(model.tokenize("Hello"))
        'Hello'
    """

    def __init__(
        self, core: CoreModel, vocab_only: bool = False, file: ModelFile | None = None
    ) -> None:
        self.core = core
        self.file = file
        self.vocab_only = vocab_only
        self.config = ModelConfig(core.config, core.metadata)
        """Facts read from the file: vision, projector, decoder, tokenizer, image, chat, source."""

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        mmproj: str | os.PathLike[str] | None = None,
        device: str = "auto",
        threads: int | None = None,
        vocab_only: bool = False,
        *,
        options: LoadOptions | None = None,
        max_tiles: int | None = None,
        **settings: Any,
    ) -> Model:
        """Loads a GGUF file, or a text model and its projector, into memory.

        Args:
            path: Our single file, a text model, or another engine's single file.
            mmproj: The projector that belongs to a text model.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``metal``, ``vulkan`` …
            threads: CPU threads; None means one per usable core.
            vocab_only: Read the header and the tokenizer, no weights.
            options: How to load it, device and threads included.
            max_tiles: Most tiles of a page to plan for with ``max_memory``; None means the model's
                own.
            **settings: Single fields of `LoadOptions`, such as ``exact=True``.

        Raises:
            FileNotFoundError: A file does not exist.
            ModelFileError: A file is damaged, of an unknown kind, or the two do not fit.
            DeviceError: The device does not exist.
            OutOfMemoryError: It does not fit in ``max_memory``; says what to lower.
            ValueError: An impossible position step, or a device besides ``max_memory``.
        """
        from crispvl._core import Model as CoreModel

        options = LoadOptions.of(options, device, threads, **settings)
        path, partner = os.fspath(path), None if mmproj is None else os.fspath(mmproj)
        shares: Shares = ()
        if options.max_memory is not None and not vocab_only:
            from crispvl.plan import place_model

            shares = place_model(path, partner, options, max_tiles=max_tiles)
        with _vocabulary(options) as vocabulary, explain(options.device):
            core = CoreModel.load(
                path,
                partner,
                options.device,
                options.threads or 0,
                vocab_only,
                options.exact,
                vocabulary,
                options.image_position_step or 0.0,
                shares,
                options.kv_cache,
                options.mmap,
            )
        file = ModelFile(path=Path(path), mmproj=None if mmproj is None else Path(mmproj))
        model = cls(core, vocab_only, file)
        for warning in model.config.warnings:
            warnings.warn(warning, stacklevel=2)
        return model

    def tokenize(
        self, text: str, special: bool = True, *, previous: int | None = None
    ) -> list[int]:
        """Returns the ids of a text; no BOS is added.

        Args:
            text: Any text.
            special: Whether ``<img>`` and the like become one token; else they are plain text.
            previous: The token that the text follows, if it is a part of a prompt. Some
                vocabularies begin a text with a space, or have tokens that take spaces along.

        Raises:
            ValueError: It contains surrogates, which are not characters.
        """
        checked = check_encodable(text)
        return self.core.tokenize(checked, special, -1 if previous is None else previous)

    def detokenize(self, ids: Sequence[int]) -> str:
        """Returns the text of ids with special tokens; bytes that are not UTF-8 become U+FFFD."""
        return self.core.detokenize(self._check_ids(ids)).decode("utf-8", "replace")

    def encode(
        self,
        tiles: NDArray[np.uint8],
        *,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> NDArray[np.float32]:
        """Returns tiles as the decoder sees them.

        Args:
            tiles: uint8 RGB ``[n_tiles, tile_px, tile_px, 3]``, from `crispvl.tiling.tile_image`.
            cancel: Stops within one layer.
            progress: Called with tiles done and tiles in all.

        Returns:
            float32 ``[n_tiles, tokens_per_tile, width]``.
        """
        return self.core.encode(self._check_tiles(tiles), cancel, progress)

    def trace(
        self, tiles: NDArray[np.uint8] | None, prompt_ids: Sequence[int]
    ) -> dict[str, NDArray[np.float32]]:
        """Returns every stage's output by name, for comparison with a reference.

        ``vis_*`` hold all tiles, ``llm_*`` are ``[1, n_tokens, width]``, and ``logits`` are those
        of the last position.
        """
        ids = self.check_prompt(prompt_ids, () if tiles is None else (tiles,))
        return self.core.trace(None if tiles is None else self._check_tiles(tiles), ids)

    def generate(
        self,
        prompt_ids: Sequence[int],
        tiles: NDArray[np.uint8] | None = None,
        *,
        options: GenerateOptions | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        on_token: Callable[[Token], object] | None = None,
        **settings: Any,
    ) -> Generation:
        """Answers a prompt.

        Args:
            prompt_ids: The whole prompt, image tokens in place, BOS included if wanted.
            tiles: uint8 ``[n_tiles, px, px, 3]`` of all images in the prompt's order.
            options: Limits and sampling; greedy without it.
            cancel: Stops within one layer of encoding or one token.
            progress: Called while tiles are encoded.
            on_token: Called with each token as it comes.
            **settings: Single fields of `GenerateOptions`, such as ``max_tokens=64``.

        Raises:
            ContextOverflowError: The prompt does not fit.
            ValueError: Prompt and tiles do not belong together.
            Cancelled: ``partial`` is the `Generation` so far.
        """
        stream = self.stream(
            prompt_ids, tiles, options=options, cancel=cancel, progress=progress, **settings
        )
        for token in stream:
            if on_token is not None:
                on_token(token)
        return stream.generation

    def stream(
        self,
        prompt_ids: Sequence[int],
        tiles: NDArray[np.uint8] | None = None,
        *,
        options: GenerateOptions | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        **settings: Any,
    ) -> TokenStream:
        """Like `generate`, but yields each `Token` as it comes."""
        request = Request(
            prompt_ids=prompt_ids,
            images=() if tiles is None else (tiles,),
            options=with_values(options or GenerateOptions(), settings),
            cancel=cancel,
        )
        return TokenStream(self, request, progress)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Every key of the GGUF header; for a pair, of both files."""
        return self.core.metadata

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Which tokens are more than text."""
        return Vocabulary(self.metadata, self.config)

    def check_prompt(
        self, prompt_ids: Sequence[int], images: Sequence[NDArray[np.uint8]]
    ) -> list[int]:
        """Returns the ids as a list, or raises ValueError if they do not fit the images' tiles.

        Args:
            prompt_ids: The whole prompt.
            images: The tiles of each image, uint8 ``[n_tiles, px, px, 3]``.
        """
        self._require_weights()
        ids = self._check_ids(prompt_ids)
        if not ids:
            raise ValueError("[prompt] expected at least one token; found none; add text")
        found = ids.count(self.config.image.context_token_id)
        n_tiles = sum(len(self._check_tiles(tiles)) for tiles in images)
        expected = n_tiles * self.config.projector.tokens_per_tile
        if found != expected:
            raise ValueError(
                f"[prompt] expected {expected} image tokens for {n_tiles} tiles; found {found}; "
                "pass the prompt and the tiles of the same images"
            )
        return ids

    def _check_ids(self, ids: Sequence[int]) -> list[int]:
        n_vocab = self.config.n_vocab
        checked = [int(token_id) for token_id in ids]
        for token_id in checked:
            if not 0 <= token_id < n_vocab:
                raise ValueError(
                    f"[tokens] expected ids in 0…{n_vocab - 1}; found {token_id}; use this "
                    "model's tokenizer"
                )
        return checked

    def _check_tiles(self, tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self._require_weights()
        if not isinstance(tiles, np.ndarray) or tiles.dtype != np.uint8:
            found = getattr(tiles, "dtype", type(tiles).__name__)
            raise TypeError(
                f"[tiles] expected an array of uint8; found {found}; use crispvl.tiling.tile_image"
            )
        tile_px = self.config.vision.tile_px
        if tiles.ndim != 4 or len(tiles) == 0 or tiles.shape[1:] != (tile_px, tile_px, 3):
            raise ValueError(
                f"[tiles] expected [n_tiles, {tile_px}, {tile_px}, 3] with at least one tile; "
                f"found {list(tiles.shape)}; use crispvl.tiling.tile_image with this tile_px"
            )
        return np.ascontiguousarray(tiles)

    def _require_weights(self) -> None:
        if self.vocab_only:
            raise ValueError(
                "[model] expected a model with weights; found one loaded with vocab_only; load it "
                "again without"
            )


def _vocabulary(options: LoadOptions) -> AbstractContextManager[str | None]:
    """The GGUF file of a vocabulary that the model's own lacks; None where none is given."""
    if options.tokenizer is None:
        return nullcontext()
    from crispvl.convert.vocabulary_file import vocabulary_as_gguf  # loads gguf, which few need

    return vocabulary_as_gguf(os.fspath(options.tokenizer))
