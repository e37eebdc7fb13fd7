"""Names on the hub, its cache, and paths that never touch the network."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from crispvl import CrispOCR, hub
from crispvl.errors import ModelFileError
from crispvl.hub.huggingface import KNOWN_PAIRS, HubName, choose_files, has_hubs_hash, parse_name

from .conftest import FakeModel
from .fake_hub import COMMIT

pytest.importorskip("huggingface_hub")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("org/repo", HubName("org/repo", "*q8_0*")),
        ("org/repo.v2:q4_k_m", HubName("org/repo.v2", "*q4_k_m*")),
        ("org/repo:Model-*f16.gguf?", HubName("org/repo", "Model-*f16.gguf?")),
        ("model.gguf", None), ("folder/model.gguf", None), ("./org/repo", None),
        ("/org/repo", None), ("../repo", None), ("a/b/c", None), ("repo", None),
    ],
)  # fmt: skip
def test_hub_names_are_told_from_paths(name: str, expected: HubName | None) -> None:
    assert parse_name(name) == expected
    assert parse_name(Path(name)) is None


def test_what_exists_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "org" / "repo").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert parse_name("org/repo") is None


def test_a_reader_takes_hub_names(
    core: FakeModel, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []

    def download(*arguments: object) -> tuple[Path, Path | None]:
        asked.append(arguments)
        return page, page

    monkeypatch.setattr(hub, "download", download)
    CrispOCR("org/repo:q4_0")
    CrispOCR(page)
    with pytest.raises(FileNotFoundError):
        CrispOCR("nowhere/model.gguf")
    assert asked == [("org/repo", "*q4_0*", None)]
    assert core.loaded_with[0] == "nowhere/model.gguf"


def test_a_repository_without_gguf_files_is_refused_with_advice() -> None:
    with pytest.raises(ModelFileError, match=r"found none.*crispvl convert"):
        choose_files("OpenGVLab/InternVL3-1B", ["config.json", "model.safetensors"], "*q8_0*")


def test_weights_of_another_training_are_not_taken_for_a_checkpoints_own() -> None:
    for checkpoint, pair in KNOWN_PAIRS.items():
        assert pair.split("/")[1] == f"{checkpoint.split('/')[1]}-GGUF"


@pytest.fixture
def cache(tmp_path: Path) -> dict[str, str]:
    """An environment whose hub cache holds a pair, and whose hub must not be asked."""
    root = tmp_path / "hub" / "models--ggml-org--InternVL3-1B-Instruct-GGUF"
    snapshot = root / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    (root / "blobs").mkdir()
    for name in ("model-Q8_0.gguf", "mmproj-model-Q8_0.gguf"):
        data = name.encode() * 1000
        blob = root / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        (snapshot / name).symlink_to(blob)
    return {
        **os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip


def crispvl(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "crispvl", *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="the test's cache is made of links")
def test_the_cache_is_listed_used_offline_checked_and_emptied(cache: dict[str, str]) -> None:
    done = crispvl(cache, "list")
    assert done.returncode == 0, done.stderr
    assert [line.split()[-1] for line in done.stdout.splitlines()] == [
        "mmproj-model-Q8_0.gguf", "model-Q8_0.gguf"
    ]  # fmt: skip

    pulled = crispvl(cache, "pull", "OpenGVLab/InternVL3-1B-Instruct")  # a known name
    assert pulled.returncode == 0, pulled.stderr
    model, projector = map(Path, pulled.stdout.split())
    assert (model.name, projector.name) == ("model-Q8_0.gguf", "mmproj-model-Q8_0.gguf")

    absent = crispvl(cache, "pull", "org/absent")
    assert absent.returncode == 2
    assert len(absent.stderr.splitlines()) == 1, absent.stderr
    assert crispvl(cache, "pull", "model.gguf").returncode == 2
    blob = model.resolve()
    blob.write_bytes(b"damaged")
    damaged = crispvl(cache, "pull", "ggml-org/InternVL3-1B-Instruct-GGUF")
    assert damaged.returncode == 2
    assert "expected the hash that the hub states" in damaged.stderr

    assert crispvl(cache, "remove", "org/absent").returncode == 2
    assert crispvl(cache, "remove", "OpenGVLab/InternVL3-1B-Instruct").returncode == 0
    empty = crispvl(cache, "list")
    assert empty.stdout == ""
    assert "crispvl pull" in empty.stderr


def test_a_checkpoint_from_a_hub_that_is_not_reached_is_refused_in_one_line(
    tmp_path: Path,
) -> None:
    unreachable = {
        **os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_CACHE": str(tmp_path),
        "HF_HUB_OFFLINE": "0", "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    output = str(tmp_path / "absent.gguf")
    done = crispvl(unreachable, "convert", "--model", "org/absent", "--output", output)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_files_without_a_hash_are_not_judged(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").touch()
    assert has_hubs_hash(tmp_path / "model.gguf") is None
