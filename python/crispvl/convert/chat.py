"""The conversation format of a checkpoint: named, or as the template that comes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from crispvl.convert.config import CheckpointConfig
from crispvl.convert.files import CheckpointFiles
from crispvl.convert.values import id_list, mapping, text
from crispvl.convert.vocabulary import Vocabulary
from crispvl.errors import ModelFileError
from crispvl.options import Task
from crispvl.prompts.chat_template import ChatTemplate
from crispvl.prompts.conversations import CONVERSATIONS

PROMPT_NAMES = get_args(Task)

# An -hf checkpoint without a chat template was still trained on this format, without its
# system message, which its processor never writes.
_FORMAT_WITHOUT_TEMPLATE = "internvl2_5"


@dataclass(frozen=True)
class Chat:
    """How a prompt is written and where an answer ends.

    ``template`` names a conversation format and may be empty; ``jinja`` is the checkpoint's own.
    """

    template: str
    system_message: str
    stop_ids: tuple[int, ...]
    jinja: str | None
    prompts: Mapping[str, str]


def read_chat(
    files: CheckpointFiles,
    config: CheckpointConfig,
    vocabulary: Vocabulary,
    prompts: Mapping[str, str],
) -> Chat:
    """Template, system message and the tokens that end an answer.

    A ``chat`` checkpoint names its format, and the format brings a system message where the
    config has none of its own. For ``hf`` the checkpoint's own Jinja template counts, and no
    format is named when it has one.

    Raises:
        ModelFileError: The named format is not known, or the template is none.
    """
    jinja = jinja_template(files)
    if jinja is not None:
        ChatTemplate(jinja)  # refuses what no reader would take
    template, system_message = config.template, ""
    if config.layout == "chat":
        if template not in CONVERSATIONS:
            raise ModelFileError(
                f"[config.json] expected 'template' to be one of {', '.join(CONVERSATIONS)}; "
                f"found '{template}'; this conversation format is not known"
            )
        own = config.system_message
        system_message = CONVERSATIONS[template].system_message if own is None else own
    elif jinja is None:
        template = _FORMAT_WITHOUT_TEMPLATE
    stop_ids = _stop_ids(files, config, vocabulary, template)
    return Chat(template, system_message, stop_ids, jinja, {**config.prompts, **prompts})


def check_prompts(prompts: Mapping[str, str]) -> None:
    """Refuses prompts that no task asks for.

    Raises:
        ValueError: A prompt of an unknown name.
    """
    unknown = [name for name in prompts if name not in PROMPT_NAMES]
    if unknown:
        raise ValueError(
            f"[prompts] expected names out of {', '.join(PROMPT_NAMES)}; found "
            f"{', '.join(unknown)}; write for example text=OCR"
        )


def end_of_answer_id(chat: Chat, vocabulary: Vocabulary) -> int | None:
    """The token that ends an answer, which is what runtimes understand by end of sequence.

    Text models' own configs often name the token that ends a document instead.
    """
    found = vocabulary.find(_stop_token(chat.template))
    return vocabulary.eos_id if found is None else found


def _stop_token(template: str) -> str:
    return CONVERSATIONS[template or _FORMAT_WITHOUT_TEMPLATE].stop


def _stop_ids(
    files: CheckpointFiles, config: CheckpointConfig, vocabulary: Vocabulary, template: str
) -> tuple[int, ...]:
    """Every token that a config calls end of sequence, and the format's own."""
    generation = files.json("generation_config.json") or {}
    named = (
        *id_list(generation.get("eos_token_id"), "generation_config.json"),
        *config.eos_ids,
    )
    ids = [*named, vocabulary.eos_id, vocabulary.find(_stop_token(template))]
    known = dict.fromkeys(i for i in ids if i is not None and 0 <= i < len(vocabulary.tokens))
    if not known:
        raise ModelFileError(
            "[tokenizer] expected a token that ends an answer, an eos_token_id or "
            f"'{_stop_token(template)}'; found none; the tokenizer files are incomplete"
        )
    return tuple(known)


def jinja_template(files: CheckpointFiles) -> str | None:
    """The template that comes with the checkpoint, from whichever file has it."""
    jinja = files.text("chat_template.jinja")
    if jinja is not None:
        return jinja
    for name in ("chat_template.json", "tokenizer_config.json"):
        value = (files.json(name) or {}).get("chat_template")
        if isinstance(value, str):
            return value
        if isinstance(value, list):  # several, each with a name
            entries = [mapping(entry, f"{name}: chat_template") for entry in value]
            default = [e.get("template") for e in entries if e.get("name") == "default"]
            return text(default[0], name) if default else None
    return None
