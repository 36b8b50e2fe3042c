"""Runs that have ended and lie as they did: where they stand need not be read again and again.

Everything in a run's folder is written beside its place and then moved there, which shows in the
folder's time of change; what may be written where it lies is looked at itself. Whatever somebody
edits by hand is seen a little later.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from trainers.runs.standing import ACTIVE, Reading, Standing, standing

# Seconds after a change in which a disk with coarse times may hide another.
FRESH = 5.0
# Seconds after which a run is read anew, whatever its folder looks like.
AGAIN = 20.0
# What tells of a change beside the folder itself: its last word, and the checkpoints it has.
LOOKED_AT = ("", "state.json", "checkpoints")

Mark = tuple[tuple[int, int, int] | None, ...]


class _Known(NamedTuple):
    mark: Mark
    until: float
    one: Standing


class Settled:
    """Remembers where runs stand that have ended. Safe for many threads."""

    def __init__(self) -> None:
        self._known: dict[Path, _Known] = {}

    def among(self, folders: Iterable[Path]) -> dict[Path, Standing]:
        """Of these runs, those that have ended and lie as they did, and where they stand."""
        now = time.time()
        found = {}
        for folder in folders:
            known = self._known.get(folder)
            if known is not None and now < known.until and known.mark == mark_of(folder):
                found[folder] = known.one
        return found

    def read(self, folder: Path, reading: Reading) -> Standing:
        """Where a run stands, read anew, and remembered where it has ended.

        Raises:
            OSError: somebody deletes it right now.
        """
        mark, now = mark_of(folder), time.time()
        one = standing(folder, reading)
        newest = max((part[0] for part in mark if part is not None), default=0) / 1e9
        if one.state not in ACTIVE and newest < now - FRESH:
            # Not all at the same moment.
            again = AGAIN * (1 + hash(folder.name) % 100 / 100)
            self._known[folder] = _Known(mark, now + again, one)
        else:
            self._known.pop(folder, None)
        return one

    def forget(self, folder: Path) -> None:
        """Let go of a folder that is gone."""
        self._known.pop(folder, None)


def mark_of(folder: Path) -> Mark:
    """What tells that something in a run's folder has changed."""
    return tuple(_stat(f"{folder}/{name}") for name in LOOKED_AT)


def _stat(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 -- a Path for each costs more than the look itself
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
