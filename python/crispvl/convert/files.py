"""A checkpoint folder, local or from the hub, and its JSON files."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crispvl.errors import CrispVLError, ModelFileError
from crispvl.extras import install_line

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")

# All that conversion reads; other weight formats and model code stay on the hub.
_HUB_PATTERNS = ("*.json", "*.jinja", "merges.txt", "tokenizer.model", "*.safetensors")


@dataclass(frozen=True)
class CheckpointFiles:
    """A folder with a checkpoint.

    Attributes:
        folder: Where the files are.
        repository: Hub name, or the folder's name.
        revision: Commit on the hub; empty for a local folder.
    """

    folder: Path
    repository: str
    revision: str

    @property
    def name(self) -> str:
        """The model's name: the last part of the repository's."""
        return self.repository.rsplit("/", 1)[-1]

    def path(self, name: str) -> Path:
        """Path of one file."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Whether the folder holds the file."""
        return self.path(name).is_file()

    def text(self, name: str) -> str | None:
        """A text file's content; None when it is absent.

        Raises:
            ModelFileError: The file is not UTF-8.
        """
        if not self.has(name):
            return None
        try:
            return self.path(name).read_text("utf-8-sig")  # without a byte order mark
        except UnicodeDecodeError as error:
            raise ModelFileError(
                f"[{name}] expected UTF-8 text; found {error}; download the file again"
            ) from None

    def json(self, name: str) -> dict[str, Any] | None:
        """A JSON object; None when the file is absent.

        Raises:
            ModelFileError: The file holds something else.
        """
        text = self.text(name)
        if text is None:
            return None
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            data = error
        if not isinstance(data, dict):
            raise ModelFileError(
                f"[{name}] expected a JSON object; found {data}; download the file again"
            )
        return data

    def require_json(self, name: str) -> dict[str, Any]:
        """A JSON object; an absent file is an error too."""
        data = self.json(name)
        if data is None:
            raise ModelFileError(
                f"[{self.folder}] expected a checkpoint folder with {name}; found none; "
                "give the folder that holds config.json and the weights"
            )
        return data


def open_checkpoint(model: str | Path) -> CheckpointFiles:
    """Finds a checkpoint: a folder, or else a hub name, which is downloaded.

    Raises:
        FileNotFoundError: No such folder, and no hub name.
        ModelFileError: A file instead of a folder, no huggingface_hub, or a failed download.
    """
    name, folder = str(model), Path(model)
    if not (name and folder.exists()):  # Path("") is the current folder
        return _download(name)
    if not folder.is_dir():
        raise ModelFileError(
            f"[{folder.name}] expected a checkpoint folder; found a file; "
            "give the folder that holds config.json and the weights"
        )
    folder = folder.resolve()
    return CheckpointFiles(folder, folder.name, "")


@contextmanager
def reported_damage(files: CheckpointFiles) -> Iterator[None]:
    """The last net around reading: a value that nothing else looked at is damage too.

    Raises:
        ModelFileError: In place of what Python says of values of other types or sizes.
    """
    try:
        yield
    except CrispVLError:
        raise
    except (
        ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
        struct.error,
    ) as error:  # fmt: skip
        raise ModelFileError(
            f"[{files.name}] expected a checkpoint whose files fit together; found {error!r}; "
            "download it again"
        ) from error


def _download(name: str) -> CheckpointFiles:
    if not _HUB_NAME.fullmatch(name):
        raise FileNotFoundError(
            f"[convert] expected a checkpoint folder or a hub name like 'organisation/model'; "
            f"found nothing at '{name}'; check the path"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ModelFileError(
            f"[convert] expected the folder '{name}', or huggingface_hub to download it; found "
            f"neither; check the path, or run {install_line('hub')}"
        ) from None
    try:
        folder = Path(snapshot_download(name, allow_patterns=list(_HUB_PATTERNS)))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(name, allow_patterns=[*_HUB_PATTERNS, "*.bin"]))
    except Exception as error:  # the client's own, network and disk errors alike
        raise ModelFileError(
            f"[convert] expected to download '{name}'; found {' '.join(str(error).split())}; "
            "check the name and the network, or give a local folder"
        ) from error
    return CheckpointFiles(folder, name, folder.name)
