"""What a model file says of its model, as fields: what the package itself goes by.

The core reads and checks every fact (`csrc/model/config.h`); none has a default here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

Facts = dict[str, Any]


PROMPT_PREFIX = "crispvl.prompt."
"""Of the keys of what a model was trained to answer, by task."""


@dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """The encoder's input."""

    tile_px: int
    mean: tuple[float, float, float]
    """Of RGB values in 0…1."""
    std: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class ProjectorConfig:
    """What the decoder sees of a tile."""

    tokens_per_tile: int
    width: int


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The text model."""

    n_layers: int
    width: int
    vocab_size: int
    """Rows of its table, which may be padded beyond the tokenizer's last token."""
    context_length: int
    tied_head: bool
    rope_scaling: str


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """How a page is cut, and the tokens that mark it."""

    min_tiles: int
    max_tiles: int
    thumbnail: bool
    multi_scale: bool
    """Whether a page is cut twice, with two numbers of tiles."""
    start_token_id: int
    end_token_id: int
    context_token_id: int
    position_step: float
    """How far an image token advances the position."""


@dataclass(frozen=True, kw_only=True)
class ChatConfig:
    """The conversation format, and the prompts that the model was trained with."""

    template: str
    jinja: str | None
    system_message: str | None
    stop_token_ids: list[int]
    prompts: Mapping[str, str]
    """By task, where the model brings one."""


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    bos_id: int
    """-1 without one, and so are others."""
    eos_id: int
    add_bos: bool
    vocab_size: int


Section = TypeVar("Section")


class ModelConfig(Mapping[str, Facts]):
    """All facts by section and name, as ``config["vision"]["tile_px"]``; the fields above by
    attribute, as ``config.vision.tile_px``.

    Args:
        facts: What the core made of a file.
        metadata: The file's own keys, which name prompts of tasks that the core does not know.

    Without weights there are only ``tokenizer`` and ``source``: see `is_whole`.
    """

    def __init__(self, facts: dict[str, Facts], metadata: Mapping[str, Any] | None = None) -> None:
        self._facts = facts
        self._prompts: dict[str, str] = {
            key.removeprefix(PROMPT_PREFIX): value
            for key, value in (metadata or {}).items()
            if key.startswith(PROMPT_PREFIX) and value
        }

    @property
    def is_whole(self) -> bool:
        """Whether the file describes a model, and not just a tokenizer."""
        return "decoder" in self._facts

    @property
    def vision(self) -> VisionConfig:
        return self._section(VisionConfig, "vision")

    @property
    def projector(self) -> ProjectorConfig:
        return self._section(ProjectorConfig, "projector")

    @property
    def decoder(self) -> DecoderConfig:
        return self._section(DecoderConfig, "decoder")

    @property
    def image(self) -> ImageConfig:
        return self._section(ImageConfig, "image")

    @property
    def chat(self) -> ChatConfig:
        facts = self._facts["chat"]
        known = {
            name.removeprefix("prompt_"): value
            for name, value in facts.items()
            if name.startswith("prompt_") and value
        }
        return ChatConfig(
            template=facts["template"],
            jinja=facts["jinja"],
            system_message=facts["system_message"],
            stop_token_ids=facts["stop_token_ids"],
            prompts={**self._prompts, **known},
        )

    @property
    def tokenizer(self) -> TokenizerConfig:
        return self._section(TokenizerConfig, "tokenizer")

    @property
    def has_router(self) -> bool:
        """Whether tiles may have fewer tokens than the projector gives them."""
        return self._facts.get("router") is not None

    @property
    def has_experts(self) -> bool:
        """Whether a router sends each of the decoder's tokens to a few of many networks."""
        return self._facts["decoder"]["experts"] is not None

    @property
    def warnings(self) -> list[str]:
        """What is doubtful about the file."""
        return list(self._facts["source"]["warnings"])

    @property
    def n_vocab(self) -> int:
        """One more than the largest token id."""
        return self.decoder.vocab_size if self.is_whole else self.tokenizer.vocab_size

    def _section(self, kind: type[Section], name: str) -> Section:
        facts = self._facts[name]
        return kind(**{field.name: facts[field.name] for field in fields(kind)})  # type: ignore[arg-type]

    def __getitem__(self, section: str) -> Facts:
        return self._facts[section]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)
