"""What the Train page asks of curves: how long it waits for them, and which part it wants."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from ppap.settings import SettingError
from ppap.studio.requests import RequestError
from trainers.launching.runner import Runner

# For how long one call reads the metrics of all runs that are watched.
READING_SECONDS = 0.4


def read_ahead(runner: Runner, watched: Iterable[Mapping[str, Any]], until: float) -> None:
    """Read the metrics of the runs that are watched, several at a time; unknown names are left out.

    Args:
        runner: the runs.
        watched: ``{name}`` each, untrusted.
        until: of ``time.monotonic``; a part of each is read even later.
    """
    folders = []
    for one in watched:
        with contextlib.suppress(SettingError):
            folders.append(runner.folder(one.get("name")))
    runner.watching.read(folders, until)


def read_range(first: object, last: object) -> tuple[float, float]:
    """Two steps from untrusted values, the first not above the last.

    Raises:
        RequestError: they are no such numbers.
    """
    found = []
    for value in (first, last):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RequestError("A range needs two steps.")
        try:
            found.append(float(value))
        except OverflowError:
            raise RequestError("There are no steps that large.") from None
    if not all(map(math.isfinite, found)) or found[0] > found[1]:
        raise RequestError("A range needs two steps, the first not above the last.")
    return found[0], found[1]
