"""Keeping all caches together within a budget: those unused for longest go first."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ppap.writing import PARTIAL
from trainers.cache.key import KEY_LETTERS
from trainers.cache.locks import try_lock
from trainers.cache.opening import BUILDING, IN_USE, read_manifest
from trainers.cache.plan import RESERVE_BYTES, CachePlan, free_bytes
from trainers.cache.rows import CHECKSUMS, MANIFEST, ROWS

# In the order in which they are removed: a cache that is half gone holds nothing.
FILES = (CHECKSUMS, ROWS, MANIFEST, BUILDING, IN_USE)
_NAMED = re.compile(rf".+-([0-9a-f]{{{KEY_LETTERS}}})")


class Kept(NamedTuple):
    """One cache that is on the disk."""

    folder: Path
    bytes: int
    """That it takes now."""
    used: float
    """When it was last opened, in seconds since 1970."""


def caches(root: Path) -> list[Kept]:
    """The caches below ``root``, those unused for longest first; whatever else is there is not."""
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(root):
            named = _NAMED.fullmatch(entry.name)
            if named and entry.is_dir(follow_symlinks=False):
                folder = root / entry.name
                if read_manifest(folder).get("key") == named[1]:
                    found.append(Kept(folder, bytes_of(folder), last_used(folder)))
    return sorted(found, key=lambda kept: (kept.used, kept.folder.name))


def bytes_of(folder: Path) -> int:
    """What the files of a cache take on the disk; parts never written take nothing."""
    total = 0
    for name in FILES:
        with contextlib.suppress(OSError):
            total += (folder / name).stat().st_blocks * 512
    return total


def last_used(folder: Path) -> float:
    """When a cache was last opened."""
    for name in (IN_USE, MANIFEST):
        with contextlib.suppress(OSError):
            return (folder / name).stat().st_mtime
    return 0.0


def trim(root: Path, budget_bytes: float, keep: Iterable[CachePlan] = ()) -> list[Path]:
    """Remove the caches unused for longest until the rest keeps to the budget and the disk.

    Only folders that say they are such caches are touched, and in them only the files that this
    program writes. A cache that some process has open stays.

    Args:
        root: the folder that all caches share.
        budget_bytes: the most that they may take together.
        keep: caches about to be opened. They stay, count with all that they will need, and are
            given room on the disk where removing others can give it.

    Returns:
        The folders that were removed.
    """
    kept = tuple(keep)
    own = {plan.folder.resolve() for plan in kept}
    others = [each for each in caches(root) if each.folder.resolve() not in own]
    total = sum(each.bytes for each in others) + sum(plan.bytes_needed for plan in kept)
    wanted = sum(plan.bytes_missing for plan in kept)
    removed = []
    for each in others:
        crowded = bool(wanted) and free_bytes(root) < wanted + RESERVE_BYTES
        if total <= budget_bytes and not crowded:
            break
        if remove(each.folder):
            total -= each.bytes
            removed.append(each.folder)
    return removed


def remove(folder: Path) -> bool:
    """Remove one cache, unless some process has it open; whether it was removed."""
    lock = try_lock(folder / IN_USE, exclusive=True)
    if lock is None:
        return False
    try:
        for leftover in folder.glob(f".{MANIFEST}.*{PARTIAL}"):
            leftover.unlink(missing_ok=True)
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        lock.release()
    with contextlib.suppress(OSError):  # somebody keeps a file of their own in there
        folder.rmdir()
    return True
