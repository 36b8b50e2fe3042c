"""Cores and memory that this process may use, as containers and batch systems allow.

A container sees the cores and the memory of its host. What it may really use stands in its control
group (cgroup, version 1 or 2), and in those around it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/")
# What version 1 says where there is no limit: the largest number of whole pages.
NO_LIMIT = 2**60


class Memory(NamedTuple):
    """Bytes of main memory."""

    total: int
    """What the machine has, or what this process may use of it."""
    available: int
    """What can still be taken without pushing anything out."""


def cores(root: Path = ROOT) -> int:
    """Cores' worth of time that this process may use, at least 1."""
    seen = cores_seen()
    quota = min(_quotas(root), default=math.inf)
    return max(1, min(seen, math.ceil(quota))) if math.isfinite(quota) else seen


def cores_seen() -> int:
    """Cores that this process may run on, whatever share of their time is its own."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def memory(root: Path = ROOT) -> Memory:
    """Main memory, as far as this process may use it."""
    import psutil

    host = psutil.virtual_memory()
    total, available = int(host.total), int(host.available)
    for limit, used in _memory_limits(root):
        total = min(total, limit)
        available = min(available, max(0, limit - used))
    return Memory(total, available)


def limit_threads() -> None:
    """Let libraries that compute start no more threads than there are cores for them.

    They count the cores that they see. To be called before they are imported; what the environment
    says already stays.
    """
    allowed = cores()
    if allowed < cores_seen():
        os.environ.setdefault("OMP_NUM_THREADS", str(allowed))


def _quotas(root: Path) -> Iterator[float]:
    """How many cores' time each control group around this process leaves it."""
    for folder in _groups(root, "cpu"):
        try:
            if (folder / "cpu.max").exists():
                quota, period = _words(folder / "cpu.max")[:2]
            else:
                quota = _words(folder / "cpu.cfs_quota_us")[0]
                period = _words(folder / "cpu.cfs_period_us")[0]
            if quota != "max" and int(quota) > 0 and int(period) > 0:
                yield int(quota) / int(period)
        except (OSError, ValueError, IndexError):
            continue


def _memory_limits(root: Path) -> Iterator[tuple[int, int]]:
    """The limit of each control group around this process, and what of it cannot be given back."""
    for folder in _groups(root, "memory"):
        second = (folder / "memory.max").exists()
        names = (
            ("memory.max", "memory.current", "inactive_file")
            if second
            else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        )
        try:
            limit = _words(folder / names[0])[0]
            if limit == "max" or int(limit) >= NO_LIMIT:
                continue
            used = int(_words(folder / names[1])[0])
            yield int(limit), max(0, used - _statistic(folder / "memory.stat", names[2]))
        except (OSError, ValueError, IndexError):
            continue


def _statistic(file: Path, name: str) -> int:
    """Files that are only kept in memory while there is room count as used there; 0 if untold."""
    words = _words(file) if file.exists() else []
    pairs = dict(zip(words[::2], words[1::2], strict=False))
    return int(pairs.get(name, 0))


def _words(file: Path) -> list[str]:
    return file.read_text().split()


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the control groups around this process, its own first."""
    try:
        memberships = (root / "proc/self/cgroup").read_text(errors="replace").splitlines()
        mounts = (root / "proc/self/mountinfo").read_text(errors="replace").splitlines()
    except (OSError, ValueError):
        return
    own = dict(_membership(line) for line in memberships if line.count(":") >= 2)
    for line in mounts:
        place, _, rest = line.partition(" - ")
        fields, kind = place.split(), rest.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        # Version 2 has one tree for everything, version 1 one for each controller.
        name = "" if kind[0] == "cgroup2" else controller
        if kind[0] == "cgroup" and controller not in kind[2].split(","):
            continue
        if kind[0] not in ("cgroup", "cgroup2") or name not in own:
            continue
        yield from _upwards(root / _plain(fields[4]).lstrip("/"), own[name], fields[3])


def _membership(line: str) -> tuple[str, str]:
    """``4:memory:/docker/a`` → ``memory`` and ``/docker/a``; several controllers: the one of ours.

    Version 2's line, ``0::/a``, names none.
    """
    _, controllers, path = line.split(":", 2)
    listed = controllers.split(",")
    return next((name for name in ("cpu", "memory") if name in listed), controllers), path


def _upwards(mount: Path, path: str, seen_root: str) -> Iterator[Path]:
    """From a group's folder up to the mount point.

    Inside a container the mount point often is the group itself, while its path is still told as
    the host sees it: folders that are not there are passed by.
    """
    inside = path.removeprefix(seen_root) if seen_root != "/" else path
    parts = [part for part in inside.split("/") if part not in ("", ".", "..")]
    for count in range(len(parts), -1, -1):
        folder = mount.joinpath(*parts[:count])
        if folder.is_dir():
            yield folder


def _plain(text: str) -> str:
    r"""A path of the list of mounts, in which a space is written ``\040``."""
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
