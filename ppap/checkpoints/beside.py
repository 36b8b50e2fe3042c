"""Which other checkpoint can be used where one is damaged."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

# Each is read whole to be sure.
MOST = 5


def intact_beside(file: Path, sound: Callable[[Path], bool]) -> str:
    """A sentence with the newest checkpoint in a damaged one's folder that is sound; empty where
    none is.

    Args:
        file: the damaged one; links to it are damaged, too.
        sound: whether a file is a checkpoint that can be used.
    """
    for other in others(file)[:MOST]:
        if sound(other):
            return f"{other.name} next to it is intact"
    return ""


def others(file: Path) -> list[Path]:
    """Files of the same kind in the same folder: numbered ones first, each newest first."""
    try:
        found = [
            other
            for other in file.parent.iterdir()
            if other.suffix == file.suffix and other.is_file() and not same(other, file)
        ]
        return sorted(found, key=lambda each: (number(each), each.stat().st_mtime), reverse=True)
    except OSError:
        return []


def same(one: Path, other: Path) -> bool:
    """Whether two names are of one file."""
    try:
        return one.samefile(other)
    except OSError:
        return True


def number(file: Path) -> int:
    """The number at the end of a name; -1 for those without, such as ``last.pt``."""
    found = re.search(r"(\d+)$", file.stem)
    return int(found[1]) if found else -1
