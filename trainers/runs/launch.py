"""``launch.json``: how a run was started for somebody, and what became of its processes.

Only the standard library is imported, as in ``trainers.runs.processes``.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trainers.runs.processes import Identity

LAUNCH, CONSOLE = "launch.json", "console.txt"
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
