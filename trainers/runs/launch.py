"""``launch.json``: how a run was started for somebody, and what became of its processes.

Nothing heavy is imported, as in ``trainers.processes``.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ppap.writing import writing
from trainers.processes import LARGEST_PID, Identity
from trainers.runs.values import number, read_json, text, texts, whole
from trainers.slurm.jobs import Job
from trainers.tracking.asked import current

Value = TypeVar("Value")

LAUNCH, CONSOLE = "launch.json", "console.txt"
# In the environment of a run: the devices that the queue gave it, ``cuda:1,cuda:3``.
GIVEN = "PPAP_DEVICES"
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
    """``cpu``, ``cuda:0``, …, or ``2 GPUs``, in words."""
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
    among: tuple[str, ...] = ()
    """The devices that it may be on; empty: ``device`` alone."""
    count: int = 1
    """How many of them it needs together."""
    given: tuple[str, ...] = ()
    """Those that it has been given."""

    job: Job | None = None
    """Where it was sent to SLURM: the job, as it was last seen."""

    def holds(self) -> tuple[str, ...]:
        """The devices that it has while it runs."""
        return self.given or (self.device,)

    def on(self) -> str:
        """Its devices for people."""
        if self.job is not None:
            return self.job.title()
        return ",".join(self.given) or self.device

    def alive(self) -> bool:
        """Whether any process of it runs."""
        if self.ended is not None or self.began is None:
            return False
        if self.job is not None:
            return self.job.active()
        known = [one for one in (self.keeper, self.trainer) if one is not None]
        return any(one.alive() for one in known) or (not known and time.time() - self.began < GRACE)


def read_launch(folder: Path) -> Launch | None:
    """The launch of a run; None where it was started otherwise, or the file is damaged."""
    raw = read_json(folder / LAUNCH)
    try:
        return _launch_of(raw) if raw else None
    except _DamagedError:
        return None


class _DamagedError(Exception):
    """A value that no launch has."""


def _launch_of(raw: dict[str, Any]) -> Launch:
    """Every value of the kind that it must be, or _DamagedError: half a launch is none."""
    return Launch(
        arguments=_words(raw.get("arguments")),
        device=_sure(text(raw.get("device"))),
        automatic=_sure(text(raw.get("automatic"))),
        asked=_sure(number(raw.get("asked"))),
        disk=_sure(whole(raw.get("disk", 0))),
        patience=_sure(number(raw.get("patience", PATIENCE))),
        problem=_sure(text(raw.get("problem", ""))),
        about=_about(raw.get("about", {})),
        among=_words(raw.get("among", [])),
        count=_sure(whole(raw.get("count", 1))),
        given=_words(raw.get("given", [])),
        job=_optional(raw.get("job"), _job),
        code=_optional(raw.get("code"), _status),
        keeper=_optional(raw.get("keeper"), _identity),
        trainer=_optional(raw.get("trainer"), _identity),
        **{name: _optional(raw.get(name), number) for name in ("queued", "began", "stop", "ended")},
    )


def _sure(value: Value | None) -> Value:
    if value is None:
        raise _DamagedError
    return value


def _optional(value: object, read: Callable[[Any], Value | None]) -> Value | None:
    return None if value is None else _sure(read(value))


def _listed(value: object) -> list[Any] | None:
    return value if isinstance(value, list) else None


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and "\0" not in value else None


def _words(value: object) -> tuple[str, ...]:
    return tuple(_sure(_word(one)) for one in _sure(_listed(value)))


def _status(value: object) -> int | None:
    return value if type(value) is int and abs(value) < 2**31 else None


def _identity(value: object) -> Identity | None:
    parts = _listed(value)
    if parts is None or not 1 <= len(parts) <= 3:
        return None
    pid, started, boot = [*parts, None, ""][:3] if len(parts) < 2 else [*parts, ""][:3]
    if type(pid) is not int or not 0 < pid <= LARGEST_PID:
        return None
    return Identity(pid, _optional(started, number), _sure(text(boot)))


def _job(value: object) -> Job | None:
    parts = _listed(value)
    if parts is None or len(parts) != len(Job._fields):
        return None
    return Job(*(_sure(text(part)) for part in parts))


def _about(value: object) -> dict[str, Any]:
    """What asks for the same again: ``recipe``, ``data``, ``settings``; and all its settings."""
    if not isinstance(value, dict):
        raise _DamagedError
    if not value:
        return {}
    config = value.get("config", {})
    if not isinstance(config, dict):
        raise _DamagedError
    return {
        "recipe": _sure(text(value.get("recipe"))),
        "data": _optional(value.get("data"), text),
        "settings": current(_sure(texts(value.get("settings")))),
        "config": config,
        **({"slurm": value["slurm"]} if isinstance(value.get("slurm"), dict) else {}),
    }


def write_launch(folder: Path, launch: Launch) -> None:
    """Write it whole or not at all; the lock is held, so nobody else writes."""
    with writing(folder / LAUNCH) as partial:
        partial.write_text(json.dumps(asdict(launch), indent=1) + "\n", encoding="utf-8")


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


def trainer_of(folder: Path) -> Identity | None:
    """The process that last said that it trains here; None where none did, or one said its end."""
    state = read_json(folder / "state.json")
    pid = whole(state.get("pid"))
    if state.get("state") != "running" or pid is None:
        return None
    return Identity(pid, number(state.get("started")))


def is_alive(folder: Path) -> bool:
    """Whether a run goes on, whoever started it."""
    launch = read_launch(folder)
    if launch is not None and launch.alive():
        return True
    trainer = trainer_of(folder)
    return trainer is not None and trainer.alive()
