"""Label maps of which nothing says what they mean: their numbers are the classes' names."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ppap.data.class_files import CLASSES, USUAL_VOID, Named
from ppap.data.errors import DataError
from ppap.data.labels import VOID

# More different numbers are shades of a picture, or colours, and no classes.
MOST_NUMBERS = 64


def numbers_in(
    root: Path, maps: Sequence[str], values: Callable[[Path, int, int], frozenset[int]]
) -> set[int]:
    """The numbers that some label maps hold; none where they cannot be classes.

    Args:
        root: the data set's folder.
        maps: paths below it.
        values: the numbers in one, by its path, size in bytes and time in nanoseconds.
    """
    found: set[int] = set()
    for name in maps:
        try:
            about = os.stat(root / name)  # noqa: PTH116
            found |= values(root / name, about.st_size, about.st_mtime_ns)
        except (OSError, DataError):
            continue
        if len(found) > MOST_NUMBERS:
            return set()
    return found


def named_by_number(root: Path, numbers: set[int]) -> Named:
    """A class for every number; 255 is void, except beside 0 alone, as in masks of two classes."""
    void = numbers != {0, USUAL_VOID}
    classes = sorted(n for n in numbers if not (void and n == USUAL_VOID))
    named = Named(root / CLASSES, [str(n) for n in classes], counted=False, guessed=True)
    named.numbers = {n: i for i, n in enumerate(classes)}
    named.numbers.setdefault(USUAL_VOID, VOID)
    return named


def note_on(named: Named, looked: int, total: int) -> str:
    """What was made of them."""
    where = "" if looked == total else f" found in {looked} of {total} label maps"
    return (
        f"No {CLASSES}: the classes are called by their numbers{where} "
        f"({shortened(named.names)}). Write one name per line into {CLASSES}, class 0 first."
    )


def shortened(names: Sequence[str]) -> str:
    """The first few."""
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
