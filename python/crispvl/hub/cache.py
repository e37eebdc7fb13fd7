"""The models in the hub's cache: which there are, and their removal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crispvl.errors import ModelFileError
from crispvl.extras import EXTRAS
from crispvl.hub.huggingface import KNOWN_PAIRS, import_hub


@dataclass(frozen=True, kw_only=True)
class CachedFile:
    """A GGUF file in the cache."""

    repo: str
    name: str
    n_bytes: int
    path: Path


def cached_files() -> list[CachedFile]:
    """Returns the GGUF files of all repositories in the cache, by repository and name."""
    found = {
        (repo.repo_id, file.file_name): CachedFile(
            repo=repo.repo_id, name=file.file_name, n_bytes=file.size_on_disk, path=file.file_path
        )
        for repo in _repositories()
        for revision in repo.revisions
        for file in revision.files
        if file.file_name.lower().endswith(".gguf")
    }
    return [found[key] for key in sorted(found)]


def remove(repo: str) -> int:
    """Removes all revisions of a repository from the cache and returns the bytes freed.

    Raises:
        ModelFileError: The cache has no such repository.
    """
    repo = KNOWN_PAIRS.get(repo, repo)
    for cached in _repositories():
        if cached.repo_id == repo:
            hashes = [revision.commit_hash for revision in cached.revisions]
            strategy = import_hub().scan_cache_dir().delete_revisions(*hashes)
            strategy.execute()
            return int(strategy.expected_freed_size)
    names = sorted({file.repo for file in cached_files()})
    raise ModelFileError(
        f"[{repo}] expected a repository in the cache; found {names or 'an empty cache'}; see "
        "crispvl list"
    )


def _repositories() -> Iterator[Any]:
    if EXTRAS["hub"].missing:  # nor has anything been downloaded with it
        return
    hub = import_hub()
    try:
        found = hub.scan_cache_dir()
    except hub.errors.CacheNotFound:
        return
    yield from (repo for repo in found.repos if repo.repo_type == "model")
