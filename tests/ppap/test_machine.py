"""Cores and memory as control groups of either version allow them, from made-up trees."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from ppap import machine

GIGABYTE = 2**30
SECOND = "40 30 0:26 {root} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
FIRST = "33 31 0:30 {root} /sys/fs/cgroup/{name} rw,relatime - cgroup cgroup rw,{name}"


@pytest.fixture(autouse=True)
def large_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores_seen", lambda: 64)
    told = SimpleNamespace(total=256 * GIGABYTE, available=200 * GIGABYTE)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: told)


def made(root: Path, *, groups: str, mounts: str, files: dict[str, str]) -> Path:
    """A small tree with what the kernel tells."""
    for name, text in {
        "proc/self/cgroup": groups,
        "proc/self/mountinfo": mounts,
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


def test_without_control_groups_it_is_the_machine(tmp_path: Path) -> None:
    assert machine.cores(tmp_path) == 64
    assert machine.memory(tmp_path) == (256 * GIGABYTE, 200 * GIGABYTE)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("max 100000", 64),
        ("max", 64),
        ("9900000 100000", 64),
        ("nonsense", 64),
        ("", 64),
    ],
)
def test_cores_of_version_2(tmp_path: Path, quota: str, cores: int) -> None:
    root = made(tmp_path, groups="0::/", mounts=SECOND.format(root="/"), files={"cpu.max": quota})
    assert machine.cores(root) == cores


def test_the_narrowest_group_around_counts(tmp_path: Path) -> None:
    files = {
        "a.slice/cpu.max": "300000 100000",
        "a.slice/b.scope/cpu.max": "max 100000",
        "a.slice/memory.max": str(8 * GIGABYTE),
        "a.slice/memory.current": str(5 * GIGABYTE),
        "a.slice/memory.stat": f"anon 1\ninactive_file {2 * GIGABYTE}",
        "a.slice/b.scope/memory.max": "max",
    }
    root = made(tmp_path, groups="0::/a.slice/b.scope", mounts=SECOND.format(root="/"), files=files)
    assert machine.cores(root) == 3
    # Of the 5 GB in use, 2 are files that are kept while there is room.
    assert machine.memory(root) == (8 * GIGABYTE, 5 * GIGABYTE)


@pytest.mark.parametrize(
    ("path", "seen_root", "folder"),
    [
        ("/docker/f00", "/", "docker/f00/"),
        # A container that shows the host's path, but has its own group at the mount point.
        ("/docker/f00", "/docker/f00", ""),
        ("/docker/f00", "/", ""),
        ("/../../elsewhere", "/", ""),
    ],
)
def test_version_1(tmp_path: Path, path: str, seen_root: str, folder: str) -> None:
    root = made(
        tmp_path,
        groups=f"9:name=systemd:{path}\n5:memory:{path}\n2:cpu,cpuacct:{path}",
        mounts="\n".join(
            [
                FIRST.format(root=seen_root, name="memory"),
                FIRST.format(root=seen_root, name="cpu,cpuacct"),
            ]
        ),
        files={
            f"cpu,cpuacct/{folder}cpu.cfs_quota_us": "400000",
            f"cpu,cpuacct/{folder}cpu.cfs_period_us": "100000",
            f"memory/{folder}memory.limit_in_bytes": str(4 * GIGABYTE),
            f"memory/{folder}memory.usage_in_bytes": str(GIGABYTE),
        },
    )
    assert machine.cores(root) == 4
    assert machine.memory(root) == (4 * GIGABYTE, 3 * GIGABYTE)


def test_version_1_without_limits(tmp_path: Path) -> None:
    root = made(
        tmp_path,
        groups="5:memory:/\n2:cpu:/",
        mounts=f"{FIRST.format(root='/', name='memory')}\n{FIRST.format(root='/', name='cpu')}",
        files={
            "cpu/cpu.cfs_quota_us": "-1",
            "cpu/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "memory/memory.usage_in_bytes": str(GIGABYTE),
        },
    )
    assert machine.cores(root) == 64
    assert machine.memory(root) == (256 * GIGABYTE, 200 * GIGABYTE)


def test_a_full_group_leaves_nothing(tmp_path: Path) -> None:
    files = {"memory.max": str(GIGABYTE), "memory.current": str(2 * GIGABYTE)}
    root = made(tmp_path, groups="0::/", mounts=SECOND.format(root="/"), files=files)
    assert machine.memory(root).available == 0


def test_threads_are_limited_only_where_cores_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "cores", lambda: 64)
    machine.limit_threads()
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.setattr(machine, "cores", lambda: 3)
    machine.limit_threads()
    assert os.environ["OMP_NUM_THREADS"] == "3"
    monkeypatch.setattr(machine, "cores", lambda: 2)
    machine.limit_threads()
    assert os.environ["OMP_NUM_THREADS"] == "3", "what was said stays"
    monkeypatch.delenv("OMP_NUM_THREADS")
