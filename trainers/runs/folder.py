"""A run's folder: what is on disk is the truth about a run, for everybody who looks.

config.json       the configuration
state.json        running, stopped, finished or failed; process, step, time left
metrics.jsonl     a line of numbers per logged step or validation
log.txt           what was printed
checkpoints/      step-00000120.pt …, and last.pt, best.pt, reported.pt, which are links to some
pictures/         predictions on the same few images, as the run went on
report.json …     the evaluation at the end
lock              held by the running process; lock.held where the disk knows no locks
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ppap.writing import PARTIAL, is_full, overwrite, sync_folder, writing
from trainers.config import Config, read_config, to_json
from trainers.locks import mark_of, owner_of, try_lock
from trainers.processes import process_started
from trainers.runs.values import read_json
from trainers.tracking.asked import current

State = Literal["running", "stopped", "finished", "failed"]
# What ``state.json`` goes on saying until it is said anew.
LASTING = ("data", "step", "steps", "unlearnt", "left_out")
STEP = "step-{:08d}.pt"
LAST, BEST, REPORTED = "last.pt", "best.pt", "reported.pt"


class RunError(RuntimeError):
    """A run's folder that cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Run:
    """The paths in a run's folder."""

    folder: Path

    @property
    def config_file(self) -> Path:
        """The configuration, JSON."""
        return self.folder / "config.json"

    @property
    def state_file(self) -> Path:
        """Where it stands, JSON."""
        return self.folder / "state.json"

    @property
    def metrics_file(self) -> Path:
        """Numbers, a line of JSON each."""
        return self.folder / "metrics.jsonl"

    @property
    def log_file(self) -> Path:
        """What was printed."""
        return self.folder / "log.txt"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def pictures(self) -> Path:
        """The folder of pictures."""
        return self.folder / "pictures"

    def exists(self) -> bool:
        """Whether a run has begun here."""
        return self.config_file.exists()

    def config(self) -> Config:
        """The configuration it runs with.

        Raises:
            RunError: there is none, or it cannot be read.
            SettingError: it has a setting that does not exist, or a value out of range.
        """
        return read_config(self.raw_config())

    def raw_config(self) -> dict[str, Any]:
        """What ``config.json`` says, whether it makes sense or not.

        Raises:
            RunError: there is none, or it cannot be read.
        """
        try:
            raw = json.loads(self.config_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(f"{self.folder} is not a run: it has no config.json.") from None
        except OSError as error:
            raise RunError(
                f"{self.config_file} cannot be read: {error.strerror or error}."
            ) from None
        except (ValueError, RecursionError) as error:
            raise RunError(f"{self.config_file} cannot be read: {error}.") from None
        if not isinstance(raw, dict):
            raise RunError(f"{self.config_file} does not contain a configuration.")
        return current(raw)

    def state(self) -> dict[str, Any]:
        """What ``state.json`` says; empty where there is none, or it is damaged."""
        return read_json(self.state_file)

    def steps(self) -> list[Path]:
        """Numbered checkpoints, oldest first."""
        return sorted(self.checkpoints.glob("step-*.pt"))

    def latest(self) -> Path | None:
        """The newest numbered checkpoint; None where there is none yet."""
        found = self.steps()
        return found[-1] if found else None

    def to_evaluate(self) -> Path:
        """The checkpoint that the run reports: the chosen one, or the newest while it goes on.

        Raises:
            RunError: there is none yet.
        """
        for name in (REPORTED, LAST):
            if (self.checkpoints / name).exists():
                return self.checkpoints / name
        raise RunError(f"{self.folder} has no checkpoint yet.")

    def write_config(self, config: Config) -> None:
        """Write the configuration and the folder it lies in."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.config_file, to_json(config))

    def write_state(self, state: State, **facts: Any) -> None:
        """Say where the run stands, with the process that says so."""
        known = {name: value for name, value in self.state().items() if name in LASTING}
        content = {"state": state, **process_identity(), "time": time.time(), **known, **facts}
        text = json.dumps(finite(content), indent=1) + "\n"
        if state == "running":
            write_text(self.state_file, text)
        else:
            self.write_last_word(text)

    def write_last_word(self, text: str) -> None:
        """Write ``state.json`` also where the disk is full, or the run would seem to go on."""
        try:
            write_text(self.state_file, text)
        except OSError as error:
            if not is_full(error):
                raise
            overwrite(self.state_file, text)

    def link(self, checkpoint: Path, name: str) -> None:
        """Let ``checkpoints/name`` be that checkpoint; the old one stays until it is."""
        beside = self.checkpoints / f".{name}.{secrets.token_hex(4)}{PARTIAL}"
        try:
            os.link(checkpoint, beside)
        except OSError:  # a disk without hard links
            with writing(self.checkpoints / name) as partial:
                shutil.copyfile(checkpoint, partial)
            return
        try:
            beside.replace(self.checkpoints / name)
            sync_folder(self.checkpoints)
        finally:
            # Replacing one name of a file by another of the same leaves both.
            beside.unlink(missing_ok=True)

    def thin_out(self, keep: int, newest: Path | None = None) -> None:
        """Remove all but the ``keep`` newest numbered checkpoints; links to others keep theirs.

        Args:
            keep: how many stay, at least 1.
            newest: the one that was written last. A run that could not use those behind it went on
                from an earlier one: they neither count nor go, or a damaged one alone would stay.
        """
        counted = [file for file in self.steps() if newest is None or file.name <= newest.name]
        for old in counted[:-keep]:
            old.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove what a process that was killed had half written; none may be at work."""
        for folder in (self.folder, self.checkpoints, self.pictures):
            for partial in folder.glob(f".*{PARTIAL}"):
                partial.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    with writing(file) as partial:
        # A path that is no text, as from another encoding, is written as the disk has it.
        partial.write_text(text, encoding="utf-8", errors="surrogateescape")


def process_identity() -> dict[str, Any]:
    """This process: its number, and when it began, since numbers are used again."""
    return {"pid": os.getpid(), "started": process_started(os.getpid())}


@contextlib.contextmanager
def locked(run: Run) -> Iterator[None]:
    """Hold a run's lock, so that no other process trains into the same folder.

    Raises:
        RunError: another process holds it, or the folder cannot be made.
    """
    file = run.folder / "lock"
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        lock = try_lock(file, exclusive=True)
    except OSError as error:
        raise RunError(
            f"A run cannot be written to {run.folder}: {error.strerror or error}. Choose another "
            "--out."
        ) from None
    if lock is None:
        raise RunError(_taken(run, file))
    try:
        yield
    finally:
        lock.release()


def _taken(run: Run, file: Path) -> str:
    """The sentence for a run whose lock another process holds."""
    owner = owner_of(file)
    if owner is None:
        pid = run.state().get("pid")
        who = f" ({pid})" if type(pid) is int else ""
        return (
            f"{run.folder} is being trained by another process{who}. Wait for it to finish, or "
            "stop it."
        )
    if owner.elsewhere():
        return (
            f"{run.folder} is being trained by process {owner.pid} on {owner.machine}. "
            f"Wait for it to finish, or stop it; if it is gone, delete {mark_of(file)}."
        )
    return (
        f"{run.folder} is being trained by another process ({owner.pid}). Wait for it to finish, "
        "or stop it."
    )


def finite(content: Mapping[str, Any]) -> dict[str, Any]:
    """JSON knows neither NaN nor infinity: None stands for them."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in content.items()
    }
