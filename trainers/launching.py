"""Runs that are started for others: one on each device, the rest in a queue, all of it on disk.

Each such run has a ``launch.json`` in its folder: what to run, on which device, whether it waits,
which processes it is, and how it ended. The queue is nothing but the launches that wait, in the
order of their times; whoever changes one holds the lock of the folder of all runs. Nothing depends
on the program that asked for the run: a keeper (``trainers.keeper``) stays with it, notes how it
ends and starts the next.

Only the standard library is imported, as in ``trainers.processes``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from trainers.processes import Identity, identity

PROJECT = Path(__file__).parent.parent
LAUNCH, CONSOLE = "launch.json", "console.txt"
LOCK = ".lock"
# Left free on the disk when a run begins.
RESERVE_BYTES = 10**9
# Seconds that a run has for its last checkpoint before it is killed.
PATIENCE = 300.0
# Seconds within which a keeper must have said who it is.
GRACE = 15.0


@dataclass(frozen=True)
class Launch:
    """What is known of one run's start."""

    arguments: tuple[str, ...]
    """What Python is started with: ``-m trainers.train RECIPE …``."""
    device: str
    """``cpu``, ``cuda:0``, …"""
    automatic: str
    """The device that ``auto`` means here."""
    asked: float
    """When it was first asked for; all times in seconds since 1970."""
    disk: int = 0
    """Bytes that it will write, about."""
    queued: float | None = None
    """Since when it waits; None when it does not."""
    began: float | None = None
    stop: float | None = None
    """When somebody asked it to stop."""
    patience: float = PATIENCE
    keeper: Identity | None = None
    trainer: Identity | None = None
    ended: float | None = None
    code: int | None = None
    """The trainer's exit status, minus the signal where one killed it; None: not known."""
    problem: str = ""
    """Why it could not begin."""
    about: dict[str, Any] = field(default_factory=dict)
    """Recipe, data and settings as they were asked for, to ask for the same again."""

    def alive(self) -> bool:
        """Whether any process of it runs."""
        if self.ended is not None or self.began is None:
            return False
        known = [one for one in (self.keeper, self.trainer) if one is not None]
        return any(one.alive() for one in known) or (not known and time.time() - self.began < GRACE)


def read_launch(folder: Path) -> Launch | None:
    """The launch of a run; None where it was started otherwise, or the file is damaged."""
    try:
        raw = json.loads((folder / LAUNCH).read_text(encoding="utf-8"))
        raw["arguments"] = tuple(raw["arguments"])
        for name in ("keeper", "trainer"):
            raw[name] = None if raw[name] is None else Identity(*raw[name])
        return Launch(**raw)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_launch(folder: Path, launch: Launch) -> None:
    """Write it whole or not at all; the lock is held, so nobody else writes."""
    partial = folder / f".{LAUNCH}.partial"
    with partial.open("w", encoding="utf-8") as stream:
        json.dump(asdict(launch), stream, indent=1)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(folder / LAUNCH)


@contextlib.contextmanager
def held(root: Path) -> Iterator[None]:
    """Hold the lock of the folder of all runs, which is made if need be; others wait."""
    root.mkdir(parents=True, exist_ok=True)
    # Not to be handed to the processes that are started meanwhile: they would hold it, too.
    descriptor = os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def run_folders(root: Path) -> list[Path]:
    """The folders in ``root`` that hold runs. Links are none: they may lead anywhere."""
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(root):
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                folder = root / entry.name
                if holds_run(folder):
                    found.append(folder)
    return sorted(found)


def holds_run(folder: Path) -> bool:
    """Whether a folder is that of a run."""
    return any((folder / name).is_file() for name in (LAUNCH, "config.json"))


def read_json(file: Path) -> dict[str, Any]:
    """An object in a file; empty where there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def trainer_of(folder: Path) -> Identity | None:
    """The process that last said that it trains here; None where none did, or one said its end."""
    state = read_json(folder / "state.json")
    if state.get("state") != "running" or not isinstance(state.get("pid"), int):
        return None
    started = state.get("started")
    return Identity(state["pid"], started if isinstance(started, float) else None)


def is_alive(folder: Path) -> bool:
    """Whether a run goes on, whoever started it."""
    launch = read_launch(folder)
    if launch is not None and launch.alive():
        return True
    trainer = trainer_of(folder)
    return trainer is not None and trainer.alive()


def device_of(folder: Path, automatic: str) -> str:
    """The device that a run is on."""
    launch = read_launch(folder)
    if launch is not None and launch.alive():
        return launch.device
    named = read_json(folder / "config.json").get("device", "auto")
    return automatic if named == "auto" else canonical(str(named))


def canonical(device: str) -> str:
    """One name for each device."""
    return "cuda:0" if device == "cuda" else device


def waiting(root: Path) -> list[Path]:
    """The runs that wait, first come first."""
    found = [(read_launch(folder), folder) for folder in run_folders(root)]
    times = [(one.queued, f) for one, f in found if one is not None and one.queued is not None]
    return [folder for _, folder in sorted(times)]


def dispatch(root: Path) -> list[Path]:
    """Start whatever waits for a device that is free now; returns what was started."""
    if not waiting(root):  # the usual case needs no lock
        return []
    with held(root):
        return start_waiting(root)


def start_waiting(root: Path) -> list[Path]:
    """As ``dispatch``, with the lock held already."""
    started = []
    busy: set[str] | None = None
    for folder in waiting(root):
        launch = read_launch(folder)
        assert launch is not None
        if busy is None:
            alive = [other for other in run_folders(root) if is_alive(other)]
            busy = {device_of(other, launch.automatic) for other in alive}
        if is_alive(folder) or launch.device in busy:
            continue
        free = shutil.disk_usage(root).free
        if launch.disk + RESERVE_BYTES > free:
            problem = f"There was too little room on the disk when its turn came: {room(free)}."
            write_launch(folder, replace(launch, queued=None, ended=time.time(), problem=problem))
            continue
        start(folder, launch)
        busy.add(launch.device)
        started.append(folder)
    return started


def room(free: int) -> str:
    """How much is free, in words."""
    return f"{free / 10**9:.1f} GB free, of which {RESERVE_BYTES / 10**9:.0f} GB stay free"


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
            [sys.executable, "-m", "trainers.keeper", str(folder)],
            cwd=PROJECT,
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
