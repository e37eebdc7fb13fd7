"""The conversation formats that InternVL models were trained with, as data.

The names are those of a checkpoint's ``template`` field; the strings are the ones of the
reference's conversation table (OpenGVLab/InternVL, ``conversation.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crispvl.messages import Message, flatten

_SHANGHAI_AI_LAB = (
    "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, "
    "是一个有用无害的人工智能助手。"
)
_INTERNVL_2_5 = (
    "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的"
    "多模态大语言模型。"
)


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What stands around each turn.

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
            ValueError: A system message stands elsewhere, or a role is one the format lacks.
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
                    "[messages] turns of 'user' and 'assistant' after at most one 'system' are "
                    f"expected; found a further {role!r}; this model's format has no place for it"
                )
        return prompt + self.answer_prefix


def _chat_ml(system_message: str, separator: str) -> Conversation:
    return Conversation(
        system_prefix="<|im_start|>system\n",
        system_message=system_message,
        user_prefix="<|im_start|>user\n",
        assistant_prefix="<|im_start|>assistant\n",
        answer_prefix="<|im_start|>assistant\n",
        system_suffix=separator,
        user_suffix=separator,
        assistant_suffix=separator,
        stop="<|im_end|>",
    )


CONVERSATIONS: dict[str, Conversation] = {
    "internvl2_5": _chat_ml(_INTERNVL_2_5, separator="<|im_end|>\n"),
    "internlm2-chat": _chat_ml(_SHANGHAI_AI_LAB, separator="<|im_end|>"),
    "Hermes-2": _chat_ml(_SHANGHAI_AI_LAB, separator="<|im_end|>"),
    "phi3-chat": Conversation(
        system_prefix="<|system|>\n",
        system_message=_SHANGHAI_AI_LAB,
        user_prefix="<|user|>\n",
        assistant_prefix="<|assistant|>\n",
        answer_prefix="<|assistant|>\n",
        system_suffix="<|end|>",
        user_suffix="<|end|>",
        assistant_suffix="<|end|>",
        stop="<|end|>",
    ),
    "internvl_zh": Conversation(
        system_prefix="",
        system_message="",
        user_prefix="<human>: ",
        assistant_prefix="<bot>: ",
        answer_prefix="<bot>:",
        system_suffix="</s>",
        user_suffix="</s>",
        assistant_suffix=" ",
        stop="</s>",
    ),
}
