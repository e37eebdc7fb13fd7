"""Every error, of the package and the core, reads ``[where] expected X; found Y; do Z``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import ROOT

PACKAGE = ROOT / "python" / "crispvl"
GRAMMAR = re.compile(r"\[.+?\] expected .+; found .+; .+", re.DOTALL)
WHERE = re.compile(r"\[[^\]]+\] \S")

OTHER_GRAMMAR = {
    "argparse.ArgumentTypeError": re.compile(r"expected .+; found .+; .+"),
}
"""argparse itself says where: at which argument."""

EXEMPT = {
    "Cancelled": "an event, no fault: it says what was stopped",
    "AttributeError": "Python's protocol of a module's attributes",
    "RuntimeError": "worded as by the package that `crispvl.compat` replaces",
    "Image.DecompressionBombError": "Pillow's own, quoted in a message",
    "LimitError": "a reason, which the message of a chat template quotes",
}
QUOTED = {
    "convert/sentencepiece.py": {"ValueError"},
    "inputs/tiff_page.py": {"_NotCopiedError"},
    "prompts/template_sandbox.py": {"jinja2.TemplateSyntaxError"},
    "reading/extraction.py": {"ValueError"},
    "reading/json_answer.py": {"ValueError"},
    "variants.py": {"DeviceError"},
}
"""By file, what is raised as a part of a message: its reason, or what is added behind it."""


def written(node: ast.expr) -> str | None:
    """Returns a literal's text, with an ellipsis for each value that is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(written(part) or "…" for part in node.values)
    return None


def messages(tree: ast.AST) -> Iterator[tuple[str, int, str]]:
    """Yields what is raised, the line and the text of each message in a file.

    Messages are the first texts that exceptions are made with, and every text that begins with a
    place in brackets, wherever it is put together.
    """
    within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
              for part in node.values}  # fmt: skip
    seen = set(within)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_exception(name := ast.unparse(node.func)):
            at = name == "ApiError"  # an HTTP status goes before the message
            for text in filter(None, map(written, node.args[at : at + 1])):
                seen.add(id(node.args[at]))
                yield name, node.lineno, text
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in seen:
            text = written(node) or ""
            if WHERE.match(text):
                yield "", node.lineno, text


def _is_exception(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last.lstrip("_")[:1].isupper() and last.endswith(("Error", "Cancelled"))


def faults(path: Path, tree: ast.AST) -> Iterator[str]:
    """Yields each message of a file that is of another form."""
    file = path.relative_to(PACKAGE).as_posix()
    for kind, line, text in messages(tree):
        reason = kind in QUOTED.get(file, ()) and not WHERE.match(text)
        if kind not in EXEMPT and not reason and not OTHER_GRAMMAR.get(kind, GRAMMAR).match(text):
            yield f"{file}:{line}: {text}"


def test_every_message_says_what_was_expected_what_was_found_and_what_to_do() -> None:
    found = [
        fault
        for path in sorted(PACKAGE.rglob("*.py"))
        for fault in faults(path, ast.parse(path.read_text("utf-8")))
    ]
    assert found == []


LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
IN_PARTS = {
    "stopped by the caller": "an event, no fault",
    "[tokenizer] …; convert the model again from its checkpoint": "its callers write the rest",
    "do not fit:": "a list follows, then what to do",
}
"""Texts of the core that are no whole messages, or no errors, and why."""


def core_messages(text: str) -> Iterator[str]:
    """Yields the messages of a C++ file: all literals of a statement that begins with a place."""
    for start in re.finditer(r'"\[[\w .-]+\] ', text):
        message, at = "", start.start()
        while text[at] != ";":
            if literal := LITERAL.match(text, at):
                message, at = message + literal[1], literal.end()
                continue
            if text[at].isalnum() and not message.endswith("…"):
                message += "…"
            at += 1
        yield message


def test_every_message_of_the_core_does_too() -> None:
    sources = [path for folder in ("csrc", "python/src") for path in (ROOT / folder).rglob("*")]
    if not sources:
        pytest.skip("this tree has no sources of the core")
    found = [
        f"{path.relative_to(ROOT)}: {message}"
        for path in sources
        if path.suffix in {".h", ".cpp"} and "tests" not in path.relative_to(ROOT).parts
        for message in core_messages(path.read_text("utf-8"))
        if not GRAMMAR.match(message) and not any(part in message for part in IN_PARTS)
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "raise ValueError('[page] a number is expected; found none; change it')",
        "raise ValueError(f'expected {x}; found {y}; change it')",
        "return ModelFileError(f'[{where}] expected a number; found {x}')",
        "return f'[{where}] a number is expected, ' + rest",
    ],
)
def test_a_message_of_another_form_is_noticed(source: str) -> None:
    assert len(list(faults(PACKAGE / "options.py", ast.parse(source)))) == 1
