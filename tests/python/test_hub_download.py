"""Models fetched from a hub: each byte once, checked, and never without being asked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .fake_hub import FakeHub, serving

pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="the hub's cache is made of links")

FILES = {
    "model-Q8_0.gguf": b"text model " * 20_000,
    "mmproj-model-Q8_0.gguf": b"projector " * 2_000,
    "model-F16.gguf": b"another",
    "README.md": b"# A model",
}


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with serving(FakeHub(dict(FILES))) as hub:
        yield hub


def run(
    hub: FakeHub, home: Path, *command: str, offline: bool = False
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {
        "HF_HOME": str(home), "HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": os.pathsep.join(sys.path), "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    if offline:
        environment["HF_HUB_OFFLINE"] = "1"
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
    )


def crispvl(
    hub: FakeHub, home: Path, *arguments: str, offline: bool = False
) -> subprocess.CompletedProcess[str]:
    return run(hub, home, "-m", "crispvl", *arguments, offline=offline)


def test_a_pair_is_fetched_once_checked_and_then_used_offline(hub: FakeHub, tmp_path: Path) -> None:
    pulled = crispvl(hub, tmp_path, "pull", "org/repo")
    assert pulled.returncode == 0, pulled.stderr
    model, projector = map(Path, pulled.stdout.split())
    assert model.read_bytes() == FILES["model-Q8_0.gguf"]
    assert projector.read_bytes() == FILES["mmproj-model-Q8_0.gguf"]
    assert sorted(name for name, _ in hub.downloads()) == [
        "mmproj-model-Q8_0.gguf", "model-Q8_0.gguf"
    ]  # fmt: skip

    again = crispvl(hub, tmp_path, "pull", "org/repo")
    assert again.stdout == pulled.stdout
    assert len(hub.downloads()) == 2  # nothing was fetched twice

    hub.requests.clear()
    offline = crispvl(hub, tmp_path, "pull", "org/repo", offline=True)
    assert offline.stdout == pulled.stdout
    missing = crispvl(hub, tmp_path, "pull", "org/repo:f16", offline=True)
    assert missing.returncode == 2
    assert "model-Q8_0.gguf" in missing.stderr
    assert hub.requests == []


def test_a_download_that_breaks_off_goes_on_where_it_stopped(hub: FakeHub, tmp_path: Path) -> None:
    data = b"text model " * 2_200_000  # the hub's library writes pieces of 10 MB
    hub.files["model-Q8_0.gguf"] = data
    hub.cut_once.add("model-Q8_0.gguf")
    pulled = crispvl(hub, tmp_path, "pull", "org/repo")
    assert pulled.returncode == 0, pulled.stderr
    assert Path(pulled.stdout.split()[0]).read_bytes() == data
    first, second = [part for name, part in hub.downloads() if name == "model-Q8_0.gguf"]
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").partition("-")[0]) <= len(data) // 2


READ = "import crispvl; crispvl.CrispOCR('org/repo')"


@pytest.mark.parametrize("command", [("-m", "crispvl", "pull", "org/repo"), ("-c", READ)])
def test_a_file_with_another_hash_is_refused_and_fetched_anew(
    hub: FakeHub, tmp_path: Path, command: tuple[str, ...]
) -> None:
    hub.damaged.add("mmproj-model-Q8_0.gguf")
    refused = run(hub, tmp_path, *command)
    assert refused.returncode != 0
    assert "expected the hash that the hub states" in refused.stderr

    hub.damaged.clear()
    pulled = crispvl(hub, tmp_path, "pull", "org/repo")
    assert pulled.returncode == 0, pulled.stderr
    assert Path(pulled.stdout.split()[1]).read_bytes() == FILES["mmproj-model-Q8_0.gguf"]


def test_what_the_hub_does_not_have_is_said_with_what_it_has(hub: FakeHub, tmp_path: Path) -> None:
    other = crispvl(hub, tmp_path, "pull", "org/repo:q3_k")
    assert other.returncode == 2
    assert "model-F16.gguf" in other.stderr
    absent = crispvl(hub, tmp_path, "pull", "org/absent")
    assert absent.returncode == 2
    assert "expected a repository on the hub or in the cache" in absent.stderr
    assert hub.downloads() == []


def test_without_a_network_the_cache_serves_and_its_lack_is_said(
    hub: FakeHub, tmp_path: Path
) -> None:
    first = crispvl(hub, tmp_path, "pull", "org/repo")
    hub.endpoint = "http://127.0.0.1:9"  # nobody listens there
    assert crispvl(hub, tmp_path, "pull", "org/repo").stdout == first.stdout
    absent = crispvl(hub, tmp_path / "empty", "pull", "org/repo")
    assert absent.returncode == 2
    assert "check its name and the network" in absent.stderr
    assert "Traceback" not in absent.stderr


def test_a_path_never_touches_the_network(hub: FakeHub, tmp_path: Path) -> None:
    for command in (
        ("recognize", "page.png", "-m", "absent/model.gguf"),
        ("recognize", "page.png", "-m", "./absent/model"),
        ("inspect", "absent/model.gguf"),
    ):
        assert crispvl(hub, tmp_path, *command).returncode == 2
    assert hub.requests == []
