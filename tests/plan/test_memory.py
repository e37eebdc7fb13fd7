"""Memory that is left, as a system and its control groups tell it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from crispvl.plan.system_memory import available_bytes, process_bytes

GIB = 1 << 30


def machine(root: Path, groups: str, files: dict[str, str]) -> Path:
    """A system with 16 GiB available and the files of its control groups."""
    for name, content in {
        "proc/meminfo": f"MemTotal: 1 kB\nMemAvailable: {16 * GIB >> 10} kB\n",
        "proc/self/cgroup": groups,
        **{f"sys/fs/cgroup/{name}": content for name, content in files.items()},
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, "utf-8")
    return root


def limits(folder: str, limit: int, used: int, cache: int) -> dict[str, str]:
    """Version 2, in GiB."""
    return {
        f"{folder}memory.max": f"{limit * GIB}\n",
        f"{folder}memory.current": f"{used * GIB}\n",
        f"{folder}memory.stat": f"anon 5\ninactive_file {cache * GIB}\n",
    }


def test_without_control_groups_the_system_tells(tmp_path: Path) -> None:
    assert available_bytes(machine(tmp_path, "", {})) == 16 * GIB
    assert available_bytes(tmp_path / "nothing") is None


def test_the_file_cache_of_a_group_counts_as_free(tmp_path: Path) -> None:
    assert available_bytes(machine(tmp_path, "0::/\n", limits("", 8, 7, 6))) == 7 * GIB


@pytest.mark.parametrize("where", ["user/me/", "user/", ""])
def test_the_own_group_and_all_above_it_limit(where: str, tmp_path: Path) -> None:
    files = {"user/me/memory.max": "max\n", **limits(where, 8, 3, 0)}
    assert available_bytes(machine(tmp_path, "0::/user/me\n", files)) == 5 * GIB


def test_a_container_that_is_told_the_hosts_path_reads_its_topmost_group(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/docker/0a1b\n", limits("", 8, 2, 0))
    assert available_bytes(root) == 6 * GIB


def test_the_first_version_of_groups_limits_too(tmp_path: Path) -> None:
    files = {
        "memory/box/memory.limit_in_bytes": f"{8 * GIB}\n",
        "memory/box/memory.usage_in_bytes": f"{7 * GIB}\n",
        "memory/box/memory.stat": f"inactive_file 1\ntotal_inactive_file {4 * GIB}\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.usage_in_bytes": f"{9 * GIB}\n",
    }
    groups = "5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n"
    assert available_bytes(machine(tmp_path, groups, files)) == 5 * GIB


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_tell_what_is_free_and_what_the_process_holds(
    system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psutil")
    here = process_bytes()
    monkeypatch.setattr(sys, "platform", system)
    free = available_bytes()
    assert free is not None
    assert free > 0
    assert here / 2 < process_bytes() < here * 2
