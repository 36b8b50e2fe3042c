"""The order of the queue, and whose runs wait until they are let go: a small file beside the runs.

``.queue.json`` in the folder of all runs holds what people have said about the queue, so that every
keeper and every studio obeys it. Runs that it does not name wait behind those that it does, in the
order of their times. Whoever writes it holds the lock of that folder.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ppap.settings import SettingError, excerpt
from ppap.writing import writing
from trainers.runs.owner import LONGEST, owner_of
from trainers.runs.values import number, opened, read_json

FILE = ".queue.json"
# Where a waiting run can be moved to.
WAYS = ("first", "up", "down")
# Everybody's runs, where nobody has runs of their own.
EVERYBODY = ""
# Runs and people that the file is read for; far more than ever wait.
MOST = 10_000


class Arrangement(NamedTuple):
    """What people have said about the queue."""

    paused: dict[str, float]
    """Whose runs do not start, and since when; ``EVERYBODY`` stands for all."""
    order: tuple[tuple[str, float], ...] = ()
    """Names of waiting runs, and since when each waits: a run that waits again begins at the end.
    """

    def holds_back(self, folder: Path) -> bool:
        """Whether a run does not start for now."""
        if not self.paused:
            return False
        return EVERYBODY in self.paused or owner_of(folder) in self.paused

    def paused_for(self, user: str) -> float | None:
        """Since when somebody's runs do not start; None where they do."""
        return self.paused.get(EVERYBODY, self.paused.get(user))

    def sorted(self, waiting: Iterable[tuple[float, Path]]) -> list[Path]:
        """Runs that wait, given with their times, in the order in which they start."""
        places = {entry: place for place, entry in enumerate(self.order)}
        known = [
            (places.get((folder.name, since), len(places)), since, folder)
            for since, folder in waiting
        ]
        return [folder for _, _, folder in sorted(known)]


def read_arrangement(root: Path) -> Arrangement:
    """What people have said about the queue in ``root``; what makes no sense is left out.

    Where it cannot be read, nothing starts: it may say so.
    """
    file = root / FILE
    found = read_json(file)
    if not found and (since := _unreadable(file)) is not None:
        return Arrangement({EVERYBODY: since})
    return _sound(found)


def _unreadable(file: Path) -> float | None:
    """When a file that cannot be read was written, 0 where not even that is known; None where it
    can be, or is not there."""
    try:
        opened(file).close()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        with contextlib.suppress(OSError):
            return file.stat().st_mtime
        return 0.0
    return None


def _sound(raw: dict[str, Any]) -> Arrangement:
    paused, order = raw.get("paused"), raw.get("order")
    found = {}
    if isinstance(paused, dict):
        for user, since in list(paused.items())[:MOST]:
            at = number(since)
            if len(user) <= LONGEST and at is not None:
                found[user] = at
    entries = []
    for entry in order[:MOST] if isinstance(order, list) else ():
        if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str):
            since = number(entry[1])
            if since is not None:
                entries.append((entry[0], since))
    return Arrangement(found, tuple(entries))


def write_arrangement(root: Path, arrangement: Arrangement) -> None:
    """Write it whole or not at all; the lock of ``root`` is held."""
    with writing(root / FILE) as partial:
        partial.write_text(json.dumps(arrangement._asdict(), indent=1) + "\n", encoding="utf-8")


def with_pause(arrangement: Arrangement, user: str) -> Arrangement:
    """Somebody's runs do not start from now on; where they did not already, that stays."""
    return arrangement._replace(paused={user: time.time(), **arrangement.paused})


def without_pause(arrangement: Arrangement, user: str) -> Arrangement:
    """Somebody's runs start again."""
    left = {name: since for name, since in arrangement.paused.items() if name != user}
    return arrangement._replace(paused=left)


def moved(
    waiting: Sequence[Path], folder: Path, way: object, mine: Callable[[Path], bool]
) -> list[Path]:
    """The queue with one run elsewhere in it.

    Runs of others stay at their places: a run changes places with those of its owner only.

    Args:
        waiting: all runs that wait, first come first.
        folder: the one to be moved; one of them, and one of ``mine``.
        way: one of ``WAYS``; untrusted. Where it is there already, nothing changes.
        mine: whether whoever asks may move a run.

    Raises:
        SettingError: there is no such way.
    """
    if not isinstance(way, str) or way not in WAYS:
        raise SettingError("to", f"A run can be moved first, up or down, not {excerpt(way)!r}.")
    places = [place for place, one in enumerate(waiting) if mine(one)]
    own = [waiting[place] for place in places]
    at = own.index(folder)
    own.pop(at)
    own.insert({"first": 0, "up": max(0, at - 1), "down": at + 1}[way], folder)
    found = list(waiting)
    for place, one in zip(places, own, strict=True):
        found[place] = one
    return found
