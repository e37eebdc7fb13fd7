"""The named things one can ask of a page, and the prompts that ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Task = Literal["text", "markdown"]

_GENERAL_PROMPTS: dict[Task, str] = {
    "text": "Transcribe all text in this image, keeping its line breaks. Output only the text.",
    "markdown": "Convert this page to Markdown. Output only the Markdown.",
}


def prompt_for(task: Task, chat: Mapping[str, Any]) -> str:
    """Returns the prompt a model was trained on for a task, or else one that any model follows.

    Args:
        task: What to ask.
        chat: The ``chat`` section of the model's config.
    """
    return chat.get(f"prompt_{task}") or _GENERAL_PROMPTS[task]
