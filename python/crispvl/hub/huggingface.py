"""Model files from the Hugging Face hub, by huggingface_hub's own rules.

Its environment variables hold here: ``HF_HOME``, ``HF_HUB_CACHE``, ``HF_TOKEN``, ``HF_ENDPOINT``,
and ``HF_HUB_OFFLINE=1``, with which nothing is ever fetched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from crispvl.errors import ModelFileError
from crispvl.extras import need
from crispvl.hub.hashing import sha256

DEFAULT_FILES = "*q8_0*"
"""Which of a repository's files is taken where nobody says: the best that loses nothing to see."""

KNOWN_PAIRS = {
    "OpenGVLab/InternVL2_5-1B": "ggml-org/InternVL2_5-1B-GGUF",
    "OpenGVLab/InternVL2_5-4B": "ggml-org/InternVL2_5-4B-GGUF",
    "OpenGVLab/InternVL3-1B-Instruct": "ggml-org/InternVL3-1B-Instruct-GGUF",
    "OpenGVLab/InternVL3-2B-Instruct": "ggml-org/InternVL3-2B-Instruct-GGUF",
    "OpenGVLab/InternVL3-8B-Instruct": "ggml-org/InternVL3-8B-Instruct-GGUF",
    "OpenGVLab/InternVL3-14B-Instruct": "ggml-org/InternVL3-14B-Instruct-GGUF",
}
"""Checkpoints whose GGUF pairs are in a repository of another name.

`OpenGVLab/InternVL3-1B` and its like went through one more training than those of InternVL3's
``-Instruct``: they are other weights, and have no pair.
"""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::(?P<file>[\w.*?-]+))?")


@dataclass(frozen=True)
class HubName:
    """A repository, and which of its files is meant."""

    repo: str
    filename: str


def parse_name(model: str | os.PathLike[str]) -> HubName | None:
    """Returns what ``organisation/name`` or ``organisation/name:pattern`` names on the hub.

    None for a path: whatever exists, ends in ``.gguf``, or begins like one.
    """
    if not isinstance(model, str) or model.lower().endswith(".gguf") or os.path.exists(model):
        return None
    match = _NAME.fullmatch(model)
    if match is None:
        return None
    pattern = match["file"]
    if pattern is None:
        filename = DEFAULT_FILES
    else:
        filename = pattern if set(pattern) & set("*?") else f"*{pattern}*"
    return HubName(match["repo"], filename)


def download(
    repo: str, filename: str, mmproj: str | None = None, revision: str | None = None
) -> tuple[Path, Path | None]:
    """Fetches a model, and its projector where the repository holds one apart.

    What is in the cache already is not fetched again; with ``HF_HUB_OFFLINE=1`` nothing is. What
    is fetched is compared with the hash that the hub gives for it.

    Args:
        repo: ``organisation/name``; for a checkpoint in `KNOWN_PAIRS`, its GGUF pair is taken.
        filename: Name or pattern of the model file, letters' case ignored.
        mmproj: Name or pattern of the projector; without it, a ``mmproj`` file is found by name.
        revision: Branch, tag or commit.

    Returns:
        Local paths of the model and of the projector, if there is one.

    Raises:
        ImportError: huggingface_hub is not installed.
        ModelFileError: The repository has no such file, or it arrived damaged.
    """
    hub = import_hub()
    repo = KNOWN_PAIRS.get(repo, repo)
    names = _list_files(hub, repo, revision)
    model_name, mmproj_name = choose_files(repo, names, filename, mmproj)
    parts = [model_name, *_further_parts(model_name, names)]
    paths = [_fetch(hub, repo, name, revision) for name in parts]
    if mmproj_name is None:
        return paths[0], None
    return paths[0], _fetch(hub, repo, mmproj_name, revision)


def choose_files(
    repo: str, names: Sequence[str], filename: str, mmproj: str | None = None
) -> tuple[str, str | None]:
    """Returns which of a repository's files are the model and its projector.

    Of several that match, the first in alphabetical order is taken, so a split file's first part.
    """
    files = sorted(name for name in names if name.lower().endswith(".gguf"))
    projectors = [name for name in files if "mmproj" in Path(name).name.lower()]
    models = [name for name in files if name not in projectors]
    matching = [name for name in models if _matches(name, filename)]
    if not models:
        raise ModelFileError(
            f"[{repo}] expected a repository with GGUF files; found none; name one that has them, "
            "or convert the checkpoint with crispvl convert"
        )
    if not matching:
        raise ModelFileError(
            f"[{repo}] expected a GGUF file named {filename!r}; found {models}; pass filename= "
            "with one of these"
        )
    wanted = [name for name in projectors if mmproj is None or _matches(name, mmproj)]
    if mmproj is not None and not wanted:
        raise ModelFileError(
            f"[{repo}] expected a projector named {mmproj!r}; found {projectors or 'none'}; pass "
            "mmproj= with a name in the repository"
        )
    return matching[0], wanted[0] if wanted else None


def _matches(name: str, pattern: str) -> bool:
    return fnmatch(Path(name).name.lower(), pattern.lower()) or name == pattern


def _further_parts(first: str, names: Sequence[str]) -> list[str]:
    """Returns the other files of a model that is split into ``…-00001-of-000NN.gguf``."""
    stem, mark, count = first.partition("-00001-of-")
    return [n for n in sorted(names) if mark and n.startswith(f"{stem}-") and n.endswith(count)][1:]


def _fetch(hub: Any, repo: str, name: str, revision: str | None) -> Path:
    cached = hub.try_to_load_from_cache(repo, name, revision=revision)
    path = Path(hub.hf_hub_download(repo, name, revision=revision))
    if str(path) != cached:
        check_hash(path)
    return path


def has_hubs_hash(file: Path) -> bool | None:
    """Returns whether a file has the hash that the hub gave for it; None where it gave none.

    Raises:
        FileNotFoundError: The file is not there.
    """
    blob = file.resolve(strict=True)  # the cache names blobs by their SHA-256
    return None if not _SHA256.fullmatch(blob.name) else sha256(blob) == blob.name


def check_hash(file: Path) -> None:
    """Takes a file of the cache that is not what the hub described out of it.

    Raises:
        ModelFileError: It was so.
    """
    if has_hubs_hash(file) is not False:
        return
    file.resolve().unlink()
    file.unlink()
    raise ModelFileError(
        f"[{file}] expected the hash that the hub states; found another, so the file was removed; "
        "download it again"
    )


def _list_files(hub: Any, repo: str, revision: str | None) -> list[str]:
    try:
        return list(hub.HfApi().list_repo_files(repo, revision=revision))
    except (OSError, hub.errors.HTTPError) as error:  # being offline is an OSError
        try:
            cached = hub.snapshot_download(repo, revision=revision, local_files_only=True)
        except hub.errors.LocalEntryNotFoundError:
            raise ModelFileError(
                f"[{repo}] expected a repository on the hub or in the cache; found neither "
                f"({error}); check its name and the network"
            ) from error
        return [str(file.relative_to(cached)) for file in Path(cached).rglob("*") if file.is_file()]


def import_hub() -> Any:
    return need("huggingface_hub", "hub", "download the file yourself and pass its path")
