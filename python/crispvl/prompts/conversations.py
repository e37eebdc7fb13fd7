"""The conversation formats that InternVL models were trained with.

They are data in ``conversations.json``, which the C library is compiled from as well. The
names are those of a checkpoint's ``template`` field; the strings are the ones of the reference's
conversation table (OpenGVLab/InternVL, ``conversation.py``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crispvl.prompts.messages import Message, flatten


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What surrounds each turn.

    ``system_message`` is used where neither the model file nor the caller gives another;
    ``answer_prefix`` opens the answer the model is to write; ``stop`` is the token that ends it.
    """

    system_prefix: str
    system_message: str
    user_prefix: str
    assistant_prefix: str
    answer_prefix: str
    system_suffix: str
    user_suffix: str
    assistant_suffix: str
    stop: str

    def render(self, messages: Sequence[Message], system_message: str | None = None) -> str:
        """Returns the prompt, images as placeholders, up to where the model's answer begins.

        Args:
            messages: Turns of user and assistant, optionally after one system message.
            system_message: Used when ``messages`` brings none; None means the format's own.

        Raises:
            ValueError: A system message is elsewhere, or a role is one the format lacks.
        """
        turns = list(flatten(messages))
        system = self.system_message if system_message is None else system_message
        if turns[0][0] == "system":
            system = turns.pop(0)[1]
        prompt = self.system_prefix + system + self.system_suffix
        for role, text in turns:
            if role == "user":
                prompt += self.user_prefix + text + self.user_suffix
            elif role == "assistant":
                prompt += self.assistant_prefix + text + self.assistant_suffix
            else:
                raise ValueError(
                    "[messages] expected turns of 'user' and 'assistant' after at most one "
                    f"'system'; found another {role!r}, which this model's format has no place "
                    "for; remove it"
                )
        return prompt + self.answer_prefix


def _read_table() -> dict[str, Any]:
    file = Path(__file__).resolve().with_name("conversations.json")
    table: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return table


_TABLE = _read_table()

CONVERSATIONS: dict[str, Conversation] = {
    name: Conversation(**row) for name, row in _TABLE["conversations"].items()
}

GENERAL_PROMPTS: dict[str, str] = _TABLE["tasks"]
"""What to ask for where a model brings no prompt of its own, by task."""
