"""The named things one can ask of a page, and the prompts that ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from crispvl.conversations import GENERAL_PROMPTS

Task = Literal["text", "markdown"]


def prompt_for(task: Task, chat: Mapping[str, Any]) -> str:
    """Returns the prompt a model was trained on for a task, or else one that any model follows.

    Args:
        task: What to ask.
        chat: The ``chat`` section of the model's config.
    """
    return chat.get(f"prompt_{task}") or GENERAL_PROMPTS[task]
