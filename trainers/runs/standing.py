"""Where a run stands, read from its folder: the truth on disk, whoever started it.

What a run says of itself (``state.json``) holds only as long as its process lives or has said its
last word; a process that is gone without one has failed, and what its keeper saw says why.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ppap.settings import SettingError
from trainers.config import KIND, checked, limits
from trainers.processes import ending
from trainers.progress import how_far
from trainers.runs.folder import LAST, REPORTED, Run
from trainers.runs.launch import CONSOLE, LAUNCH, Launch, read_launch, trainer_of
from trainers.runs.values import LARGEST_FILE, number, opened, read_json, text, whole
from trainers.slurm.jobs import AS_STOPPED, ENDS, Job
from trainers.tracking.asked import current

State = Literal["queued", "running", "stopping", "stopped", "finished", "failed"]
ACTIVE: tuple[State, ...] = ("queued", "running", "stopping")
# The end of a log that tells why a run failed.
LAST_LINES, LAST_BYTES = 12, 8192
# Seconds after which even a disk with coarse times shows that a file has changed.
SETTLED_SECONDS = 3.0
CUT_OFF = (
    "max_steps ended it before its probes were trained, so its clusters and classes mean little. "
    "Resume it to train them."
)
# What is said of a run begins so while it says how far its preparation, or its report, is.
PREPARING, REPORTING = "Preparing.", "Writing the report."
# A file's time of change, size and number.
Mark = tuple[int, int, int]


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
    unlearnt: str = ""
    """What of it has not learnt, in a sentence."""
    position: int | None = None
    """In the queue, from 1."""
    preparing: float | None = None
    """How much of what comes before the first step is done, from 0 to 1; None where it says nothing
    of that."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Reading:
    """Small files, read again only when they have changed.

    A disk may keep times to two seconds only, and give a new file the number of an old one: so a
    file counts as unchanged once it has looked the same for longer than that.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], tuple[Mark, float, Any]] = {}

    def json(self, file: Path, most: int = LARGEST_FILE) -> dict[str, Any]:
        """The object in it; empty where there is none, or it has more than ``most`` bytes."""
        found: dict[str, Any] = self._read(file, "json", lambda file: read_json(file, most)) or {}
        return found

    def launch(self, folder: Path) -> Launch | None:
        """The launch of a run."""
        found: Launch | None = self._read(
            folder / LAUNCH, "launch", lambda file: read_launch(file.parent)
        )
        return found

    def settings(self, file: Path) -> dict[str, Any]:
        """The settings in it that make sense."""
        found: dict[str, Any] = (
            self._read(file, "settings", lambda file: sound_settings(read_json(file))) or {}
        )
        return found

    def _read(self, file: Path, kind: str, read: Callable[[Path], Any]) -> Any:
        key, now = (file, kind), time.monotonic()
        try:
            stat = file.stat()
        except OSError:
            self._known.pop(key, None)
            return None
        mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = self._known.get(key)
        if known is None or known[0] != mark:
            known = (mark, now, read(file))
            self._known[key] = known
        elif known[1] > now - SETTLED_SECONDS:
            since = known[1]
            value = read(file)
            # Read after it had settled, it will be the same until it looks different.
            known = (mark, since, value)
            self._known[key] = known
        return known[2]

    def forget(self, folder: Path) -> None:
        """Let go of a folder that is gone."""
        for key in [key for key in list(self._known) if key[0].parent == folder]:
            del self._known[key]


def sound_settings(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among some values that exist, each inside its limits."""
    sound = {}
    for name, value in current(raw).items():
        if name in KIND:
            with contextlib.suppress(SettingError):
                sound[name] = checked(name, value, KIND[name], limits(name))
    return sound


def standing(folder: Path, reading: Reading | None = None) -> Standing:
    """Where the run in ``folder`` stands."""
    reading = reading or Reading()
    launch, state = reading.launch(folder), reading.json(folder / "state.json")
    config = settings_of(folder, reading)
    kind, said = verdict(folder, launch, state)
    ended = kind not in ACTIVE
    # Of this attempt only, as the words are.
    stage = stage_of(state) if kind == "running" and said.startswith(PREPARING) else None
    lacking = unlearnt(config, state) if ended else ""
    if lacking and kind in ("finished", "stopped"):
        said = f"{said} {lacking}".strip()
    about = launch.about if launch is not None else {}
    asked = launch.asked if launch is not None else began(folder, state)
    return Standing(
        name=folder.name,
        state=kind,
        text=said,
        recipe=str(config.get("recipe") or about.get("recipe") or ""),
        rule=str(config.get("rule", "")),
        backbone=str(config.get("backbone", "")),
        dataset=str(config.get("dataset", "")),
        data=text(state.get("data")) or about.get("data"),
        device=launch.on() if launch is not None else typed_device(config),
        step=whole(state.get("step")) or 0,
        steps=whole(state.get("steps")) or 0,
        time_left=None if ended else number(state.get("time_left")),
        seconds=number(state.get("seconds")),
        images_per_second=None if ended else number(state.get("images_per_second")),
        asked=asked,
        updated=number(state.get("time")) or asked,
        code=launch.code if launch is not None and ended else None,
        resumable=kind in ("stopped", "failed") or (kind == "finished" and cut_off(config, state)),
        checkpoint=any((Run(folder).checkpoints / each).is_file() for each in (LAST, REPORTED)),
        unlearnt=lacking,
        preparing=stage.share if stage is not None else None,
    )


def typed_device(config: Mapping[str, Any]) -> str:
    """The device of a run that nobody launched from here, as its settings name it."""
    device, devices = config.get("device", ""), config.get("devices", "1")
    return str(device) if devices == "1" else f"{device}, devices={devices}"


def settings_of(folder: Path, reading: Reading) -> dict[str, Any]:
    """The settings of a run: its own, or those it was asked for."""
    config = reading.settings(folder / "config.json")
    if config:
        return config
    launch = reading.launch(folder)
    if launch is None:
        return {}
    recipe = launch.about.get("recipe", "")
    return {"recipe": recipe, **sound_settings(launch.about.get("config", {}))}


def unlearnt(config: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """What of a run has not learnt, in a sentence; empty where all has, or a run says nothing."""
    if cut_off(config, state):
        return CUT_OFF
    return text(state.get("unlearnt")) or ""


def cut_off(config: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Whether ``max_steps`` ended a run before its probes' epochs, as earlier versions let it.

    They said nothing of what had learnt; today's do.
    """
    most, steps = config.get("max_steps"), state.get("steps")
    return bool(
        most
        and "unlearnt" not in state
        and config.get("probe_epochs")
        and state.get("state") == "finished"
        and steps == most == state.get("step")
    )


def verdict(folder: Path, launch: Launch | None, state: dict[str, Any]) -> tuple[State, str]:
    """The state of a run, and what is to be said of it."""
    if launch is not None and launch.queued is not None:
        what = "its device" if launch.count == 1 else "its devices"
        return "queued", f"Waiting for {what}."
    if launch is not None and launch.job is not None:
        return of_job(folder, launch, launch.job, state)
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
        return "failed", text(state.get("reason")) or "It failed."
    if launch is not None:
        return unsaid(folder, launch)
    if (folder / LAUNCH).exists():
        return "failed", f"Its {LAUNCH} is damaged, so its state is unknown."
    return "failed", f"{ending(None)}. Its last lines may say why."


def of_job(folder: Path, launch: Launch, job: Job, state: dict[str, Any]) -> tuple[State, str]:
    """The state of a run that is a job of SLURM's, from what either says."""
    if launch.ended is None and job.waits():
        return (
            ("stopping", "Being removed from SLURM.")
            if launch.stop
            else ("queued", job.waiting_text())
        )
    if launch.ended is None and job.active():
        kind, told = doing(launch, state)
        return kind, f"{told} {job.title()}.".strip() if kind == "running" else told
    fresh = (number(state.get("time")) or 0.0) >= (launch.began or 0.0)
    said = state.get("state") if fresh else None
    if said == "finished":
        return "finished", ""
    if job.state not in ENDS or (launch.stop is not None and job.state == "CANCELLED"):
        if said == "stopped":
            return "stopped", ""
        if said == "failed":
            return "failed", text(state.get("reason")) or "It failed."
        return unsaid(folder, launch)
    kept = any((folder / "checkpoints").glob("step-*.pt"))
    where = "continues from its last checkpoint" if kept else "starts over"
    ended: State = "stopped" if said == "stopped" or job.state in AS_STOPPED else "failed"
    return ended, f"{job.end_text()}: it {where} when resumed."


def doing(launch: Launch | None, state: dict[str, Any]) -> tuple[State, str]:
    """Of a run that goes on."""
    if launch is not None and launch.stop is not None and launch.ended is None:
        return "stopping", "Writing a checkpoint and stopping."
    since = launch.began if launch is not None and launch.began is not None else 0.0
    fresh = (number(state.get("time")) or 0.0) >= since
    stage = stage_of(state) if fresh else None
    if fresh and state.get("doing") == "report":
        return "running", REPORTING if stage is None else f"{REPORTING} {stage.text}."
    if stage is not None:
        return "running", f"{PREPARING} {stage.text}."
    if not fresh or not state.get("steps"):
        return "running", "Preparing: data, backbone, cached features."
    return "running", ""


class Stage(NamedTuple):
    """What a run does before its first step, or after its last."""

    share: float
    """From 0 to 1."""
    text: str


def stage_of(state: Mapping[str, Any]) -> Stage | None:
    """How far a run's preparation or its report is, as it says itself; None where it says nothing
    of any."""
    raw = state.get("stage")
    if state.get("state") != "running" or not isinstance(raw, Mapping):
        return None
    done, total = whole(raw.get("done")), whole(raw.get("of"))
    if done is None or not total:
        return None
    title, unit = text(raw.get("title")) or "", text(raw.get("unit")) or ""
    share = max(0.0, min(1.0, done / total))
    return Stage(share, how_far(title, done, total, unit, number(raw.get("left"))))


def unsaid(folder: Path, launch: Launch) -> tuple[State, str]:
    """Of a run whose process left no word of its own."""
    if launch.problem:
        return "failed", launch.problem
    if launch.stop is not None:
        reached = (folder / "checkpoints").is_dir() and launch.began is not None
        where = "continues from its last checkpoint" if reached else "starts over"
        how = "It was killed before it could stop on its own" if launch.code == -9 else "Stopped"
        return "stopped", f"{how}: it {where} when resumed."
    if launch.code is not None and launch.code > 0:
        said = last_lines(folder, 1)
        return "failed", said[-1] if said else f"{ending(launch.code)}."
    return "failed", f"{ending(launch.code)}, without an error message."


def last_lines(folder: Path, most: int = LAST_LINES) -> list[str]:
    """The end of what a run printed."""
    for name in (CONSOLE, "log.txt"):
        with contextlib.suppress(OSError), opened(folder / name, folder.parent) as stream:
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
