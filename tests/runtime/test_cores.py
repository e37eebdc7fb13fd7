"""How many cores a process keeps busy by itself: affinity, and the quota of its control groups."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

_core = pytest.importorskip("crispvl._core")

V2 = "31 23 0:28 {top} /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 {top} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 {top} /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
)


class Groups:
    """A system's control groups below a folder."""

    def __init__(self, root: Path, mounts: str, own: str) -> None:
        self.root = root
        process = root / "proc" / "self"
        process.mkdir(parents=True)
        (process / "mountinfo").write_text(mounts)
        (process / "cgroup").write_text(own)

    def write(self, folder: str, **files: str) -> None:
        """Writes files of a group; double underscores in names are dots."""
        place = self.root / "sys/fs/cgroup" / folder
        place.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (place / name.replace("__", ".")).write_text(text)

    def quota(self) -> float:
        return _core.cpu_quota(str(self.root))


def groups_v2(root: Path, own: str = "/", top: str = "/") -> Groups:
    return Groups(root, V2.format(top=top), f"0::{own}\n")


def groups_v1(root: Path, own: str = "/") -> Groups:
    own = f"9:name=systemd:{own}\n5:cpuset:/\n4:cpu,cpuacct:{own}\n"
    return Groups(root, V1.format(top="/"), own)


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert _core.cpu_quota(str(tmp_path)) == math.inf


def test_a_container_that_sees_its_own_group_has_its_quota(tmp_path: Path) -> None:
    groups = groups_v2(tmp_path)
    groups.write("", cpu__max="250000 100000\n")
    assert groups.quota() == 2.5


def test_a_group_without_a_limit_has_no_quota(tmp_path: Path) -> None:
    groups = groups_v2(tmp_path, "/app")
    groups.write("app", cpu__max="max 100000\n")
    assert groups.quota() == math.inf


@pytest.mark.parametrize(("inner", "outer"), [("300000", "150000"), ("150000", "300000")])
def test_of_nested_groups_the_least_quota_counts(tmp_path: Path, inner: str, outer: str) -> None:
    groups = groups_v2(tmp_path, "/pods/one/app")
    groups.write("pods", cpu__max=f"{outer} 100000")
    groups.write("pods/one", cpu__max="max 100000")
    groups.write("pods/one/app", cpu__max=f"{inner} 100000")
    assert groups.quota() == 1.5


def test_the_quota_of_a_group_beside_does_not_count(tmp_path: Path) -> None:
    groups = groups_v2(tmp_path, "/pods/one")
    groups.write("pods/one", cpu__max="200000 100000")
    groups.write("pods/on", cpu__max="100000 100000")
    assert groups.quota() == 2


def test_a_container_whose_mount_shows_part_of_the_groups_finds_its_own(tmp_path: Path) -> None:
    groups = groups_v2(tmp_path, own="/docker/a1/inner", top="/docker/a1")
    groups.write("", cpu__max="400000 100000")
    groups.write("inner", cpu__max="50000 100000")
    assert groups.quota() == 0.5


@pytest.mark.parametrize("own", ["/../other", "/docker/a10", "/elsewhere"])
def test_a_group_outside_what_is_mounted_is_judged_by_the_mount(tmp_path: Path, own: str) -> None:
    groups = groups_v2(tmp_path, own=own, top="/docker/a1")
    groups.write("", cpu__max="300000 100000")
    groups.write("0", cpu__max="100000 100000")
    assert groups.quota() == 3


def test_the_first_version_of_groups_has_quotas_too(tmp_path: Path) -> None:
    groups = groups_v1(tmp_path, "/docker/a1")
    groups.write("cpu,cpuacct", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    groups.write("cpu,cpuacct/docker", cpu__cfs_quota_us="90000", cpu__cfs_period_us="50000")
    groups.write("cpu,cpuacct/docker/a1", cpu__cfs_quota_us="400000", cpu__cfs_period_us="100000")
    groups.write("cpuset/docker/a1", cpu__cfs_quota_us="1", cpu__cfs_period_us="100000")
    assert groups.quota() == 1.8


def test_a_system_with_both_versions_takes_the_least(tmp_path: Path) -> None:
    unified = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    own = "4:cpu,cpuacct:/a\n0::/b\n"
    groups = Groups(tmp_path, V1.format(top="/") + unified, own)
    groups.write("cpu,cpuacct/a", cpu__cfs_quota_us="300000", cpu__cfs_period_us="100000")
    groups.write("unified/b", cpu__max="200000 100000")
    assert groups.quota() == 2


@pytest.mark.parametrize("text", ["", "nonsense", "100000", "100000 0", "-5 100000", "max"])
def test_a_quota_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    groups = groups_v2(tmp_path)
    groups.write("", cpu__max=text)
    assert groups.quota() == math.inf


@pytest.mark.parametrize("mounts", ["", "nonsense\n", "1 2 3 / - cgroup2\n", " - \n"])
def test_odd_mounts_are_passed_over(tmp_path: Path, mounts: str) -> None:
    assert Groups(tmp_path, mounts, "0::/\n").quota() == math.inf


def test_a_quota_of_less_than_a_core_is_one_core(tmp_path: Path) -> None:
    groups = groups_v2(tmp_path)
    groups.write("", cpu__max="10000 100000")
    assert _core.usable_cores(str(tmp_path)) == 1


def test_a_quota_beyond_the_machine_leaves_the_machine(tmp_path: Path) -> None:
    groups = groups_v2(tmp_path)
    groups.write("", cpu__max="1000000000 1000")
    assert _core.usable_cores(str(tmp_path)) == _core.usable_cores(str(tmp_path / "without"))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_a_process_bound_to_one_cpu_has_one_core_and_one_thread() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from crispvl import _core\n"
        "print(_core.usable_cores(), _core.build_info()['default_threads'])\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["1", "1"]


def test_hyper_threads_of_one_core_count_once(tmp_path: Path) -> None:
    cpus = tmp_path / "sys/devices/system/cpu"
    for cpu in range(os.cpu_count() or 1):
        (cpus / f"cpu{cpu}/topology").mkdir(parents=True)
        (cpus / f"cpu{cpu}/topology/thread_siblings_list").write_text("0-99\n")
    if sys.platform != "linux":
        pytest.skip("affinity and topology are Linux's")
    assert _core.usable_cores(str(tmp_path)) == 1
