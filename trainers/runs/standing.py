"""Where a run stands, read from its folder: the truth on disk, whoever started it.

What a run says of itself (``state.json``) holds only as long as its process lives or has said its
last word; a process that is gone without one has failed, and what its keeper saw says why.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from trainers.config import KIND
from trainers.runs.folder import LAST, REPORTED, Run
from trainers.runs.launch import CONSOLE, LAUNCH, Launch, read_json, read_launch, trainer_of
from trainers.runs.processes import ending

State = Literal["queued", "running", "stopping", "stopped", "finished", "failed"]
ACTIVE: tuple[State, ...] = ("queued", "running", "stopping")
# The end of a log that tells why a run failed.
LAST_LINES, LAST_BYTES = 12, 8192


@dataclass(frozen=True)
class Standing:
    """One run, as it is now."""

    name: str
    state: State
    text: str
    """What it does, or why it ended, in words; empty where the state says all."""
    recipe: str
    rule: str
    backbone: str
    dataset: str
    data: str | None
    device: str
    step: int
    steps: int
    time_left: float | None
    seconds: float | None
    images_per_second: float | None
    asked: float
    """When it was begun, or asked for; seconds since 1970."""
    updated: float
    code: int | None
    """The exit status, where it is known."""
    resumable: bool
    checkpoint: bool
    """Whether it has one to evaluate or to segment with."""
    position: int | None = None
    """In the queue, from 1."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Reading:
    """Small JSON files, read again only when they have changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int, int], Any]] = {}

    def json(self, file: Path) -> dict[str, Any]:
        """The object in it; empty where there is none."""
        found: dict[str, Any] = self._read(file, read_json) or {}
        return found

    def launch(self, folder: Path) -> Launch | None:
        """The launch of a run."""
        found: Launch | None = self._read(folder / LAUNCH, lambda file: read_launch(file.parent))
        return found

    def _read(self, file: Path, read: Any) -> Any:
        try:
            stat = file.stat()
        except OSError:
            self._known.pop(file, None)
            return None
        mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = self._known.get(file)
        if known is None or known[0] != mark:
            known = (mark, read(file))
            self._known[file] = known
        return known[1]

    def forget(self, folder: Path) -> None:
        """Let go of a folder that is gone."""
        for file in [file for file in list(self._known) if file.parent == folder]:
            del self._known[file]


def standing(folder: Path, reading: Reading | None = None) -> Standing:
    """Where the run in ``folder`` stands."""
    reading = reading or Reading()
    launch, state = reading.launch(folder), reading.json(folder / "state.json")
    config = settings_of(folder, reading)
    kind, text = verdict(folder, launch, state)
    ended = kind not in ACTIVE
    about = launch.about if launch is not None else {}
    asked = launch.asked if launch is not None else began(folder, state)
    return Standing(
        name=folder.name,
        state=kind,
        text=text,
        recipe=str(config.get("recipe") or about.get("recipe") or ""),
        rule=str(config.get("rule", "")),
        backbone=str(config.get("backbone", "")),
        dataset=str(config.get("dataset", "")),
        data=state.get("data") or about.get("data"),
        device=launch.device if launch is not None else str(config.get("device", "")),
        step=whole(state.get("step")),
        steps=whole(state.get("steps")),
        time_left=None if ended else number(state.get("time_left")),
        seconds=number(state.get("seconds")),
        images_per_second=None if ended else number(state.get("images_per_second")),
        asked=asked,
        updated=number(state.get("time")) or asked,
        code=launch.code if launch is not None and ended else None,
        resumable=kind in ("stopped", "failed"),
        checkpoint=any((Run(folder).checkpoints / each).is_file() for each in (LAST, REPORTED)),
    )


def settings_of(folder: Path, reading: Reading) -> dict[str, Any]:
    """The settings of a run: its own, or those it was asked for."""
    config = reading.json(folder / "config.json")
    if config:
        return {name: value for name, value in config.items() if name in KIND}
    launch = reading.launch(folder)
    if launch is None:
        return {}
    return {"recipe": launch.about.get("recipe", ""), **launch.about.get("config", {})}


def verdict(folder: Path, launch: Launch | None, state: dict[str, Any]) -> tuple[State, str]:
    """The state of a run, and what is to be said of it."""
    if launch is not None and launch.queued is not None:
        return "queued", "It waits until the device is free."
    said_by = trainer_of(folder)
    if (launch is not None and launch.alive()) or (said_by is not None and said_by.alive()):
        return doing(launch, state)
    said = state.get("state")
    since = launch.began if launch is not None and launch.began is not None else 0.0
    if (number(state.get("time")) or 0.0) < since:
        said = None  # of an earlier attempt
    if said == "finished":
        return "finished", ""
    if said == "stopped":
        return "stopped", ""
    if said == "failed":
        return "failed", str(state.get("reason") or "It failed.")
    if launch is not None:
        return unsaid(folder, launch)
    return "failed", f"{ending(None)}. Its last lines may tell why."


def doing(launch: Launch | None, state: dict[str, Any]) -> tuple[State, str]:
    """Of a run that goes on."""
    if launch is not None and launch.stop is not None and launch.ended is None:
        return "stopping", "It writes a checkpoint and ends."
    since = launch.began if launch is not None and launch.began is not None else 0.0
    fresh = (number(state.get("time")) or 0.0) >= since
    if not fresh or not state.get("steps"):
        return "running", "It gets ready: data, backbone, cached features."
    if state.get("doing") == "report":
        return "running", "It makes the report."
    return "running", ""


def unsaid(folder: Path, launch: Launch) -> tuple[State, str]:
    """Of a run whose process left no word of its own."""
    if launch.problem:
        return "failed", launch.problem
    if launch.stop is not None:
        reached = (folder / "checkpoints").is_dir() and launch.began is not None
        where = "goes on from its last checkpoint" if reached else "begins anew"
        how = "It was killed before it could stop by itself" if launch.code == -9 else "Stopped"
        return "stopped", f"{how}: it {where} when resumed."
    if launch.code is not None and launch.code > 0:
        said = last_lines(folder, 1)
        return "failed", said[-1] if said else f"{ending(launch.code)}."
    return "failed", f"{ending(launch.code)}, without a word of its own."


def last_lines(folder: Path, most: int = LAST_LINES) -> list[str]:
    """The end of what a run printed."""
    for name in (CONSOLE, "log.txt"):
        with contextlib.suppress(OSError), (folder / name).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - LAST_BYTES))
            text = stream.read().decode("utf-8", "replace")
            lines = [line for line in text.splitlines() if line.strip()]
            if lines:
                return lines[-most:]
    return []


def began(folder: Path, state: dict[str, Any]) -> float:
    """When a run began that was not launched from here, as far as its folder tells."""
    with contextlib.suppress(OSError):
        return (folder / "config.json").stat().st_mtime
    return number(state.get("time")) or time.time()


def number(value: object) -> float | None:
    """A number, or None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(value: object) -> int:
    """A whole number, 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
