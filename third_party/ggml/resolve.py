"""Finds the source of ggml that crispvl is built with, and prints its folder.

The source is never in git. The C library needs stb as well, out of the same archive: another pin,
``--pin third_party/stb/pin.json``. A source is looked for, in this order, in

1. the folder given by the user (``-DCRISPVL_GGML_DIR=...``);
2. ``source`` beside the pin, which our source distribution carries (``--vendor`` makes it);
3. the cache, filled by an earlier build;
4. the source distribution of the package named in ``pin.json``, downloaded by pip.

The archive's SHA-256 is checked before anything is extracted, the SHA-256 of the extracted tree
each time it is used. CMake calls this file while configuring: the folder goes to stdout, all else
to stderr. It needs Python 3.10 and nothing besides the standard library.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

HERE = Path(__file__).resolve().parent
THIRD_PARTY = HERE.parent


class ResolveError(Exception):
    """A source of ggml that cannot be used; the message says why."""


@dataclass(frozen=True)
class Pin:
    """The one version of ggml that crispvl is tested with, and where it is published."""

    name: str
    version: str
    package: str
    package_version: str
    archive_sha256: str
    archive_folder: str
    archive_license: str
    tree_sha256: str

    @classmethod
    def read(cls, path: Path) -> Pin:
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    @property
    def folder_name(self) -> str:
        return f"{self.name}-{self.version}-{self.tree_sha256[:8]}"

    @property
    def vendored(self) -> Path:
        return THIRD_PARTY / self.name / "source"


def user_cache_dir() -> Path:
    """The platform's folder for files that can be made again."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "crispvl"


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def tree_sha256(folder: Path) -> str:
    """One hash over every file's path and content, so that a changed tree is noticed."""
    files = (path for path in folder.rglob("*") if not path.is_dir())
    names = sorted((path.relative_to(folder).as_posix(), path) for path in files)
    lines = (f"{file_sha256(path)}  {name}\n" for name, path in names)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_tree(folder: Path, pin: Pin) -> Path:
    if not folder.is_dir():
        raise ResolveError(f"{folder} does not exist")
    if (found := tree_sha256(folder)) != pin.tree_sha256:
        raise ResolveError(f"{folder} was changed: tree hash {found}, expected {pin.tree_sha256}")
    return folder


def check_user_folder(folder: Path, pin: Pin) -> Path:
    """Any ggml may be given; another version than the pinned one is the user's own risk."""
    recipe = folder / "CMakeLists.txt"
    if not recipe.is_file() or not (folder / "include" / "ggml.h").is_file():
        raise ResolveError(
            f"[ggml] expected CMakeLists.txt and include/ggml.h in {folder}; found none;"
            " correct CRISPVL_GGML_DIR, or leave it out to use the pinned version."
        )
    text = recipe.read_text(encoding="utf-8", errors="replace")
    major, minor, patch = pin.version.split(".")
    lines = (f"VERSION_MAJOR {major})", f"VERSION_MINOR {minor})", f"VERSION_PATCH {patch})")
    if not all(f"GGML_{line}" in text for line in lines):
        note(f"{folder} is not ggml {pin.version}, the version crispvl is tested with")
    return folder.resolve()


def member_target(name: str, prefix: PurePosixPath) -> PurePosixPath | None:
    """Path of an archive member below ``<top folder>/prefix``, or None when it is elsewhere."""
    path = PurePosixPath(name)
    inside = PurePosixPath(*path.parts[1:])
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise ResolveError(f"the archive has a member with an unsafe path: {name!r}")
    return inside.relative_to(prefix) if inside.is_relative_to(prefix) else None


def extract(archive: Path, pin: Pin, destination: Path) -> None:
    """Writes ggml's folder and its licence from the verified archive; file times are now."""
    if (found := file_sha256(archive)) != pin.archive_sha256:
        raise ResolveError(
            f"{archive.name} has SHA-256 {found}, expected {pin.archive_sha256}; not extracted"
        )
    folder, license_file = PurePosixPath(pin.archive_folder), PurePosixPath(pin.archive_license)
    has_license_file = bool(pin.archive_license)  # else the folder's files carry their own
    with tarfile.open(archive) as tar:
        for member in tar:
            target = member_target(member.name, folder)
            if has_license_file and member_target(member.name, license_file) is not None:
                target = PurePosixPath("LICENSE")
            if target is None or member.isdir():
                continue
            content = tar.extractfile(member) if member.isfile() else None
            if content is None:
                raise ResolveError(f"the archive has a member that is no file: {member.name!r}")
            path = destination / target
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)


def download(pin: Pin, folder: Path) -> Path:
    """Fetches the package's source distribution with pip, from whatever index the user has set."""
    if importlib.util.find_spec("pip") is None:
        raise ResolveError(f"{sys.executable} has no pip to download {pin.package} with")
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
    command += ["--quiet", "--retries", "2", "--no-deps", "--dest", str(folder)]
    command += ["--no-binary", pin.package, f"{pin.package}=={pin.package_version}"]
    if importlib.util.find_spec("scikit_build_core"):
        command.append("--no-build-isolation")  # pip only asks the package for its name and version
    note(f"downloading {pin.package} {pin.package_version}, which has {pin.folder_name} (73 MB)")
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    archives = list(folder.glob("*.tar.gz"))
    if run.returncode != 0 or len(archives) != 1:
        raise ResolveError(f"pip could not download it: {run.stdout.strip() or 'no archive came'}")
    return archives[0]


def place(source: Path, destination: Path, pin: Pin) -> Path:
    """Renames a complete tree into place; a concurrent build that was first is as good."""
    if destination.exists():
        try:
            return check_tree(destination, pin)
        except ResolveError as error:
            note(f"{error}; replacing it")
            destination.rename(source.with_name(f"changed-{pin.name}"))
    try:
        source.rename(destination)
    except OSError:
        check_tree(destination, pin)
    return destination


def fetch(pin: Pin, destination: Path) -> Path:
    """Downloads, verifies and extracts ggml to ``destination``."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    # On the same file system as the destination, so that the rename is atomic.
    with tempfile.TemporaryDirectory(prefix="ggml-", dir=destination.parent) as temporary:
        archive = download(pin, Path(temporary))
        # One download serves every pin of the same archive.
        for other in (Pin.read(path) for path in THIRD_PARTY.glob("*/pin.json")):
            if other.archive_sha256 == pin.archive_sha256 and other.name != pin.name:
                unpack(archive, other, destination.parent / other.folder_name)
        return unpack(archive, pin, destination)


def unpack(archive: Path, pin: Pin, destination: Path) -> Path:
    """Extracts beside the archive, verifies, and renames into place."""
    tree = archive.parent / f"tree-{pin.name}"
    extract(archive, pin, tree)
    return place(check_tree(tree, pin), destination, pin)


def resolve(pin: Pin, cache_dir: Path, user_dir: Path | None = None) -> Path:
    """Returns a folder with ggml's source, downloading it when nothing at hand fits.

    Raises:
        ResolveError: The user's folder is no ggml, or no source of ggml could be used; the
            message lists what was tried and three ways out.
    """
    if user_dir is not None:
        return check_user_folder(user_dir, pin)
    cached = cache_dir / pin.folder_name
    attempts: list[Callable[[], Path]] = [
        lambda: check_tree(pin.vendored, pin),
        lambda: check_tree(cached, pin),
        lambda: fetch(pin, cached),
    ]
    reasons = []
    for attempt in attempts:
        try:
            return attempt()
        except (ResolveError, OSError) as error:
            reasons.append(str(error))
    tried = "\n".join(f"  - {reason}" for reason in reasons)
    raise ResolveError(
        f"[{pin.name}] expected the source of {pin.name} {pin.version}; found none:\n{tried}\n"
        "Do one of these:\n"
        f'  1. give a folder that has it: CMAKE_ARGS="-DCRISPVL_{pin.name.upper()}_DIR=/its/path"\n'
        "  2. run `python third_party/ggml/resolve.py` where there is a network and copy\n"
        f"     the folder it prints to {cached}\n"
        '     (elsewhere with CMAKE_ARGS="-DCRISPVL_CACHE_DIR=/path/to/cache")\n'
        f"  3. let pip reach a package index or folder that has the source distribution of\n"
        f"     {pin.package} {pin.package_version} (PIP_INDEX_URL, PIP_PROXY, PIP_FIND_LINKS, ...)"
    )


def vendor(pin: Pin, cache_dir: Path) -> Path:
    """Copies the resolved source to third_party/<name>/source, for our source distribution."""
    with tempfile.TemporaryDirectory(prefix="source-", dir=pin.vendored.parent) as temporary:
        tree = Path(temporary) / "tree"
        shutil.copytree(resolve(pin, cache_dir), tree, copy_function=shutil.copyfile)
        return place(tree, pin.vendored, pin)


def note(text: str) -> None:
    print(f"[ggml] {text}", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Prints the folder of ggml's source.")
    parser.add_argument("--user-dir", type=Path, help="use this folder")
    parser.add_argument("--cache-dir", type=Path, help="instead of the user's cache")
    parser.add_argument("--pin", type=Path, default=HERE / "pin.json", help="what to take")
    parser.add_argument("--vendor", action="store_true", help="copy it to third_party/*/source")
    options = parser.parse_args(arguments)
    try:
        pin, cache_dir = Pin.read(options.pin), options.cache_dir or user_cache_dir()
        if options.vendor:
            folder = vendor(pin, cache_dir)
        else:
            folder = resolve(pin, cache_dir, options.user_dir)
    except (ResolveError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(folder.as_posix())
    return 0


if __name__ == "__main__":
    sys.exit(main())
