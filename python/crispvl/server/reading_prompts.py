"""Whether a prompt asks for what a page says, or for something else.

A model that reads pages by their lines has no use for the prompts of other models, which every
client has its own. What they have in common is known here: words that ask for a page's text. It is
a rule of thumb; a request's ``layout`` goes before it.
"""

from __future__ import annotations

import re
from typing import Literal

ReadingTask = Literal["text", "markdown"]

_READS = re.compile(
    r"""
    \b(ocr | ocrs | markdown | docling | doctags | transcri\w* | trascri\w* | digiti[sz]e)\b
    | \b(plain|natural|raw|full|all|whole|exact|visible|printed)\s+(the\s+)?text\b
    | \b(text|table|character|document)\s+(recognition|extraction|reading)\b
    | \b(recogni[sz]e|extract|read|get|return|output|give|copy|convert|write\s+down|type\s+out)\b
      [^.?!\n]{0,40}
      \b(texts?|contents?|words|writing|everything|document|page|image|picture|scan|receipt|this|it)\b
    | \bwhat\s+(does|do|did|is|are)\b [^.?!\n]{0,40} \b(say|says|said|written|printed|read)\b
    | \bwhat('s|\s+is)\s+the\s+text\b
    | 识别 | 提取.{0,12}(文字|文本|内容) | 转换 | 文字起こし | 読み取
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Prompts of docling, olmOCR, MinerU, PaddleOCR-VL, marker, zerox, InternVL's own and of people."""

_ASKS_ELSE = re.compile(
    r"\b(json|summari[sz]\w*|summary|translat\w*|describ\w*|caption|explain|classif\w*|how\s+many)\b",
    re.IGNORECASE,
)


def reading_task(prompt: str) -> ReadingTask | None:
    """Returns what of a page a prompt asks for: its text, or the same in Markdown.

    An empty prompt asks for the text. None means that something else is asked.
    """
    if not prompt.strip():
        return "text"
    is_long = len(prompt) > 200  # such list in passing what else an answer may hold
    if not _READS.search(prompt) or (_ASKS_ELSE.search(prompt) and not is_long):
        return None
    return "markdown" if "markdown" in prompt.lower() else "text"


FRONT_MATTER = """---
primary_language: null
is_rotation_valid: True
rotation_correction: 0
is_table: False
is_diagram: False
---
"""
"""What olmOCR's pipeline expects above a page's text. Pages that lie on their side are read upright
anyway, so that they need no turning."""


def preface(prompt: str) -> str:
    """Returns what a prompt asks to be put above a page's text; nothing but for olmOCR's."""
    lower = prompt.lower()
    return FRONT_MATTER if "front matter" in lower and "primary_language" in lower else ""
