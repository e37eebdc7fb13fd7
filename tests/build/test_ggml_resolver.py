"""third_party/ggml/resolve.py: where ggml's source is taken from, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from .conftest import GGML_FILES, RESOLVER, Release, write_archive, write_tree


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def filled(resolver: ModuleType, release: Release, cache: Path) -> Path:
    """The cached folder of ggml; the index is gone, so nothing can be downloaded again."""
    folder: Path = resolver.resolve(release.pin, cache)
    release.archive.unlink()
    return folder


def test_pip_download_fills_the_cache_with_ggml_and_its_licence(
    resolver: ModuleType, release: Release, cache: Path
) -> None:
    started = time.time()
    folder = resolver.resolve(release.pin, cache)
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    assert {name: path.read_text() for name, path in files.items()} == {
        **GGML_FILES,
        "LICENSE": "MIT\n",
    }
    # Times out of an archive confuse ninja; one second is the coarsest file system's step.
    assert all(path.stat().st_mtime >= started - 1 for path in files.values())
    assert [entry.name for entry in cache.iterdir()] == [release.pin.folder_name]


def test_cache_is_used_without_a_network(
    resolver: ModuleType, release: Release, cache: Path, filled: Path
) -> None:
    assert resolver.resolve(release.pin, cache) == filled


def test_cache_of_another_pin_is_not_used(
    resolver: ModuleType, release: Release, cache: Path, filled: Path
) -> None:
    other = dataclasses.replace(release.pin, tree_sha256="f" * 64)
    with pytest.raises(resolver.ResolveError, match="found none"):
        resolver.resolve(other, cache)


@pytest.mark.parametrize("tamper", ["change", "add", "remove"])
def test_tampered_cache_is_noticed_and_not_used(
    resolver: ModuleType, release: Release, cache: Path, filled: Path, tamper: str
) -> None:
    source = filled / "src" / "ggml.c"
    if tamper == "change":
        source.write_text("int evil;\n")
    elif tamper == "add":
        (filled / "src" / "more.c").touch()
    else:
        source.unlink()
    with pytest.raises(resolver.ResolveError, match="was changed: tree hash"):
        resolver.resolve(release.pin, cache)


def test_tampered_cache_is_replaced_by_a_download(
    resolver: ModuleType, release: Release, cache: Path
) -> None:
    folder = resolver.resolve(release.pin, cache)
    (folder / "src" / "ggml.c").write_text("int evil;\n")
    assert resolver.resolve(release.pin, cache) == folder
    assert (folder / "src" / "ggml.c").read_text() == GGML_FILES["src/ggml.c"]


def test_folder_given_by_the_user_comes_first(
    resolver: ModuleType, release: Release, cache: Path, filled: Path, tmp_path: Path
) -> None:
    mine = write_tree(tmp_path / "mine", {**GGML_FILES, "src/ggml.c": "int mine;\n"})
    assert resolver.resolve(release.pin, cache, user_dir=mine) == mine


def test_folder_given_by_the_user_must_hold_ggml(
    resolver: ModuleType, release: Release, cache: Path, filled: Path, tmp_path: Path
) -> None:
    with pytest.raises(resolver.ResolveError, match="CRISPVL_GGML_DIR"):
        resolver.resolve(release.pin, cache, user_dir=tmp_path)


def test_other_version_given_by_the_user_is_told(
    resolver: ModuleType,
    release: Release,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mine = write_tree(tmp_path / "mine", GGML_FILES)
    resolver.resolve(release.pin, cache, user_dir=mine)
    assert capsys.readouterr().err == ""
    (mine / "CMakeLists.txt").write_text("set(GGML_VERSION_MAJOR 9)\n")
    resolver.resolve(release.pin, cache, user_dir=mine)
    assert "is not ggml 1.2.3" in capsys.readouterr().err


def test_vendored_source_comes_before_the_cache(
    resolver: ModuleType, release: Release, cache: Path, filled: Path
) -> None:
    vendored = write_tree(release.pin.vendored, {**GGML_FILES, "LICENSE": "MIT\n"})
    assert resolver.resolve(release.pin, cache) == vendored


def test_archive_with_another_hash_is_refused_before_extraction(
    resolver: ModuleType, release: Release, cache: Path
) -> None:
    pin = dataclasses.replace(release.pin, archive_sha256="0" * 64)
    with pytest.raises(resolver.ResolveError, match=r"has SHA-256 .* not extracted"):
        resolver.resolve(pin, cache)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "top/vendor/ggml/../../../../evil.c",
        "/vendor/ggml/evil.c",
        "top/vendor/ggml/C:/evil.c",
        "top/vendor/ggml/..\\..\\evil.c",
    ],
)
def test_archive_with_a_path_outside_is_refused(
    resolver: ModuleType, release: Release, tmp_path: Path, name: str
) -> None:
    archive = tmp_path / "evil.tar.gz"
    write_archive(archive, {name: "evil"})
    pin = dataclasses.replace(release.pin, archive_sha256=resolver.file_sha256(archive))
    with pytest.raises(resolver.ResolveError, match="unsafe path"):
        resolver.extract(archive, pin, tmp_path / "a" / "b" / "c" / "tree")
    assert not list(tmp_path.rglob("evil.c"))


def test_archive_with_a_link_is_refused(
    resolver: ModuleType, release: Release, tmp_path: Path
) -> None:
    archive = tmp_path / "evil.tar.gz"
    write_archive(archive, {}, links={"top/vendor/ggml/src": "/etc"})
    pin = dataclasses.replace(release.pin, archive_sha256=resolver.file_sha256(archive))
    with pytest.raises(resolver.ResolveError, match="is no file"):
        resolver.extract(archive, pin, tmp_path / "tree")


def run_resolver(release: Release, cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(RESOLVER), "--pin", str(release.pin_file)]
    return subprocess.Popen(
        [*command, "--cache-dir", str(cache)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )


def test_without_any_source_the_message_names_three_remedies(release: Release, cache: Path) -> None:
    release.archive.unlink()
    process = run_resolver(release, cache)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert out == ""
    assert "[ggml] expected the source of ggml 1.2.3; found none" in err
    for remedy in ("CRISPVL_GGML_DIR", str(cache / release.pin.folder_name), "PIP_FIND_LINKS"):
        assert remedy in err
    assert "Traceback" not in err


def test_concurrent_builds_end_with_the_same_complete_folder(
    resolver: ModuleType, release: Release, cache: Path
) -> None:
    processes = [run_resolver(release, cache) for _ in range(4)]
    outputs = [process.communicate(timeout=300) for process in processes]
    folder = cache / release.pin.folder_name
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert {out.strip() for out, _ in outputs} == {folder.as_posix()}
    assert resolver.tree_sha256(folder) == release.pin.tree_sha256
    assert [entry.name for entry in cache.iterdir()] == [folder.name]


def test_build_that_loses_the_race_uses_the_winner_s_folder(
    resolver: ModuleType, release: Release, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def rename_too_late(source: Path, destination: Path) -> Path:
        shutil.copytree(source, destination)
        return rename(source, destination)

    monkeypatch.setattr(Path, "rename", rename_too_late)
    folder = resolver.resolve(release.pin, cache)
    assert resolver.tree_sha256(folder) == release.pin.tree_sha256


def test_one_download_serves_every_pin_of_the_archive(
    resolver: ModuleType, release: Release, cache: Path, tmp_path: Path
) -> None:
    tree = write_tree(tmp_path / "headers", {"ggml.h": GGML_FILES["include/ggml.h"]})
    headers = dataclasses.replace(
        release.pin,
        name="headers",
        archive_folder="vendor/ggml/include",
        archive_license="",
        tree_sha256=resolver.tree_sha256(tree),
    )
    pin_file = resolver.THIRD_PARTY / "headers" / "pin.json"
    pin_file.parent.mkdir(parents=True)
    pin_file.write_text(json.dumps(vars(headers)))
    resolver.resolve(release.pin, cache)
    release.archive.unlink()
    folder = resolver.resolve(headers, cache)
    assert [path.name for path in folder.iterdir()] == ["ggml.h"]
