"""The queue of runs that are started for others: one on each device, the rest wait, all on disk.

A run that asks for several devices is given them together. While too few are free, those that are
stay free for it: runs that were asked for later do not get ahead of it on them, and so it never
waits for ever.

Each such run has a ``launch.json`` in its folder (``trainers.runs.launch``). The queue is nothing
but the launches that wait, in the order of their times; whoever changes one holds the lock of the
folder of all runs. Nothing depends on the program that asked for the run: a keeper
(``trainers.launching.keeper``) stays with it, notes how it ends and starts the next.

Nothing heavy is imported, as in ``trainers.processes``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ppap.places import ROOT
from ppap.settings import SettingError
from trainers.launching.ordering import read_arrangement
from trainers.locks import wait_for
from trainers.processes import identity
from trainers.runs.launch import (
    CONSOLE,
    Launch,
    is_alive,
    read_launch,
    run_folders,
    write_launch,
)
from trainers.runs.values import read_json
from trainers.several import MOST, read_devices

LOCK = ".lock"
# Seconds for which nobody holds the lock: a process of another machine that does, is gone.
MOMENT = 60.0
# Seconds between tries to have it.
OFTEN = 0.02
# Left free on the disk when a run begins.
RESERVE_BYTES = 10**9


@contextlib.contextmanager
def held(root: Path) -> Iterator[None]:
    """Hold the lock of the folder of all runs, which is made if need be; others wait."""
    lock = wait_for(root / LOCK, exclusive=True, meanwhile=_nothing, patience=MOMENT, every=OFTEN)
    try:
        yield
    finally:
        lock.release()


def _nothing() -> None:
    """While waiting for a lock that others hold for a moment."""


def devices_of(folder: Path, automatic: str) -> set[str]:
    """The devices that a run is on."""
    launch = read_launch(folder)
    if launch is not None and launch.alive():
        return set(launch.holds())
    said = read_json(folder / "config.json")
    named = str(said.get("device", "auto"))
    first = automatic if named == "auto" else canonical(named)
    try:
        asked = read_devices(str(said.get("devices", "1")))
    except SettingError:
        return {first}
    if first == "cpu" or not asked.several:
        return {first}
    # Of ``all`` nobody knows here how many there are.
    return {f"cuda:{number}" for number in asked.gpus or range(asked.count or MOST)}


def canonical(device: str) -> str:
    """One name for each device."""
    return "cuda:0" if device == "cuda" else device


def waiting(
    root: Path,
    read: Callable[[Path], Launch | None] = read_launch,
    folders: Sequence[Path] | None = None,
) -> list[Path]:
    """The runs that wait, first come first, unless people have put them into another order.

    Args:
        root: the folder of all runs.
        read: reads a run's launch, for who asks often and remembers what has not changed.
        folders: the runs that may wait; None: all.
    """
    folders = run_folders(root) if folders is None else folders
    found = [(read(folder), folder) for folder in folders]
    times = [(one.queued, f) for one, f in found if one is not None and one.queued is not None]
    return read_arrangement(root).sorted(times) if times else []


def dispatch(
    root: Path,
    read: Callable[[Path], Launch | None] = read_launch,
    folders: Sequence[Path] | None = None,
) -> list[Path]:
    """Start whatever waits for a device that is free now; returns what was started.

    Arguments as of ``waiting``.
    """
    held_back = read_arrangement(root).holds_back
    if all(map(held_back, waiting(root, read, folders))):  # the usual case needs no lock
        return []
    with held(root):
        return start_waiting(root)


def start_waiting(root: Path) -> list[Path]:
    """As ``dispatch``, with the lock held already."""
    started = []
    busy: set[str] | None = None
    arrangement = read_arrangement(root)
    for folder in waiting(root):
        if arrangement.holds_back(folder):  # nor is a device kept for it
            continue
        launch = read_launch(folder)
        if launch is None:  # damaged since it was listed
            continue
        if busy is None:
            alive = [other for other in run_folders(root) if is_alive(other)]
            busy = set().union(*(devices_of(other, launch.automatic) for other in alive))
        if is_alive(folder):
            continue
        free = [one for one in launch.among or (launch.device,) if one not in busy]
        if len(free) < launch.count:
            busy |= set(free)  # kept for it
            continue
        left = shutil.disk_usage(root).free
        if launch.disk + RESERVE_BYTES > left:
            problem = f"The disk was too full when its turn came: {room(left)}."
            write_launch(folder, replace(launch, queued=None, ended=time.time(), problem=problem))
            continue
        given = tuple(free[: launch.count])
        start(folder, replace(launch, given=given))
        busy |= set(given)
        started.append(folder)
    return started


def room(free: int) -> str:
    """How much is free, in words."""
    return f"{free / 10**9:.1f} GB free, of which {RESERVE_BYTES / 10**9:.0f} GB must stay free"


# Children that have ended are buried as long as somebody asks after them.
_CHILDREN: list[subprocess.Popen[bytes]] = []


def start(folder: Path, launch: Launch) -> None:
    """Start the keeper of a run, which starts the run; the lock is held."""
    began = replace(
        launch,
        queued=None,
        began=time.time(),
        stop=None,
        keeper=None,
        trainer=None,
        ended=None,
        code=None,
        problem="",
    )
    write_launch(folder, began)
    _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]
    with (folder / CONSOLE).open("ab") as console:
        child = subprocess.Popen(
            [sys.executable, "-m", "trainers.launching.keeper", str(folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    _CHILDREN.append(child)
    write_launch(folder, replace(began, keeper=identity(child.pid)))


def bury() -> None:
    """Ask after the children, so that those that have ended do not linger."""
    _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]
