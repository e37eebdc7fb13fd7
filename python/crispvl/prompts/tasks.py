"""The named things one can ask of a page, and the prompts that ask for them, as data."""

from __future__ import annotations

from dataclasses import dataclass

from crispvl.model_config import ChatConfig
from crispvl.options import Task
from crispvl.prompts.conversations import GENERAL_PROMPTS
from crispvl.prompts.messages import Framed


@dataclass(frozen=True, kw_only=True)
class TaskPrompt:
    """What is asked for a task.

    ``frame`` is what comes before and after a caller's text where the task has one: what to look
    for. ``reads`` tells whether the answer is text of the page; a blank page has none.
    """

    prompt: str
    reads: bool = True
    frame: tuple[str, str] | None = None


TASKS: dict[Task, TaskPrompt] = {
    "text": TaskPrompt(prompt=GENERAL_PROMPTS["text"]),
    "markdown": TaskPrompt(prompt=GENERAL_PROMPTS["markdown"]),
    "table": TaskPrompt(
        prompt="Convert the tables in this image to HTML. Use rowspan and colspan where cells "
        "span. Output only the HTML."
    ),
    "formula": TaskPrompt(
        prompt="Convert the formulas in this image to LaTeX, one per line. Output only the LaTeX."
    ),
    "key-value": TaskPrompt(
        prompt="List the fields of this form or receipt as one JSON object that maps each label "
        "to its value. Output only the JSON."
    ),
    "caption": TaskPrompt(prompt="Describe this image in one or two sentences.", reads=False),
    # The wording of the model cards' grounding examples.
    "grounding": TaskPrompt(
        prompt="Please detect and label all objects in the following image and mark their "
        "positions.",
        reads=False,
        frame=(
            "Please provide the bounding box coordinate of the region this sentence describes: "
            "<ref>",
            "</ref>",
        ),
    ),
}


def prompt_for(task: Task, chat: ChatConfig) -> str:
    """Returns the prompt a model was trained on for a task, or else one that any model follows.

    Args:
        task: What to ask.
        chat: The ``chat`` section of the model's config.
    """
    return chat.prompts.get(task) or TASKS[task].prompt


def question(task: Task, prompt: str | None, chat: ChatConfig) -> str | Framed:
    """Returns what to ask: the caller's prompt, framed where the task has a frame, or the task's.

    Args:
        task: What to ask for.
        prompt: What the caller asks; with ``grounding``, what to look for.
        chat: The ``chat`` section of the model's config.
    """
    if prompt is None:
        return prompt_for(task, chat)
    frame = TASKS[task].frame
    return prompt if frame is None else Framed(frame[0], prompt, frame[1])
