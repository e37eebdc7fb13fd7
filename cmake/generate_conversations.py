"""Writes the conversation table of csrc/text/prompt.cpp from prompts/conversations.json.

Usage: ``python generate_conversations.py CONVERSATIONS.json OUT.inc``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FIELDS = (  # in the order of csrc/text/prompt.cpp's Conversation
    "system_prefix",
    "system_message",
    "system_suffix",
    "user_prefix",
    "user_suffix",
    "assistant_prefix",
    "assistant_suffix",
    "answer_prefix",
)


def literal(text: str) -> str:
    """A C++ string literal: three octal digits per byte cannot run into what follows."""
    plain = (
        chr(b) if 0x20 <= b < 0x7F and b not in b'"\\?' else f"\\{b:03o}" for b in text.encode()
    )
    return '"' + "".join(plain) + '"'


def table(data: dict[str, dict[str, dict[str, str]]]) -> str:
    """The text of the include file."""
    lines = [
        "// Written by generate_conversations.py.",
        "constexpr Conversation kConversations[] = {",
    ]
    for name, row in data["conversations"].items():
        cells = [name, *(row[field] for field in FIELDS)]
        lines.append("    {" + ", ".join(map(literal, cells)) + "},")
    lines.append("};")
    for task, prompt in data["tasks"].items():
        name = "kPrompt" + task.title().replace("_", "")
        lines.append(f"constexpr const char* {name} = {literal(str(prompt))};")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, out = map(Path, sys.argv[1:])
    out.write_text(table(json.loads(source.read_text("utf-8"))), "utf-8")
