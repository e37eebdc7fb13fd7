"""A checkpoint's tokenizer as a GGUF file of its own, for model files that came without one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gguf import GGUFValueType as Kind

from crispvl.convert.chat import jinja_template
from crispvl.convert.files import open_checkpoint, reported_damage
from crispvl.convert.metadata import tokenizer_entries
from crispvl.convert.tokenizer import read_vocabulary
from crispvl.convert.writer import OutputFile, write_header


def write_vocabulary_file(folder: str | Path, output: Path) -> None:
    """Writes the tokenizer and the chat template of a checkpoint folder, and nothing else.

    Raises:
        FileNotFoundError: No such folder.
        ModelFileError: It holds no tokenizer, or one of an unknown kind.
    """
    files = open_checkpoint(folder)
    with reported_damage(files):
        vocabulary = read_vocabulary(files, None)
        jinja = jinja_template(files)
    entries = list(tokenizer_entries(vocabulary))
    if jinja is not None:
        entries.append(("tokenizer.chat_template", jinja, Kind.STRING))
    write_header(
        output,
        OutputFile(path=output, arch=vocabulary.model, type="model", entries=entries, tensors=[]),
    )


@contextmanager
def vocabulary_as_gguf(folder_or_file: str) -> Iterator[str]:
    """The path of a GGUF file with a vocabulary; of a checkpoint folder a temporary one."""
    if not os.path.isdir(folder_or_file):
        yield folder_or_file
        return
    with tempfile.TemporaryDirectory(prefix="crispvl-") as folder:
        path = Path(folder) / "vocabulary.gguf"
        write_vocabulary_file(folder_or_file, path)
        yield str(path)
