"""A run's folder: what is on disk is the truth about a run, for everybody who looks.

config.json       the configuration
state.json        running, stopped, finished or failed; process, step, time left
metrics.jsonl     a line of numbers per logged step or validation
log.txt           what was printed
checkpoints/      step-00000120.pt …, and last.pt, best.pt, reported.pt, which are links to some
pictures/         predictions on the same few images, as the run went on
report.json …     the evaluation at the end
lock              held by the running process
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from ppap.writing import PARTIAL, writing
from trainers.config import Config, read_config, to_json
from trainers.runs.boards import Board
from trainers.runs.processes import process_started

State = Literal["running", "stopped", "finished", "failed"]
# What ``state.json`` goes on saying until it is said anew.
LASTING = ("data", "step", "steps")
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
        try:
            raw = json.loads(self.config_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(f"{self.folder} holds no run: it has no config.json.") from None
        except (OSError, ValueError) as error:
            raise RunError(f"{self.config_file} cannot be read: {error}") from None
        if not isinstance(raw, dict):
            raise RunError(f"{self.config_file} does not hold a configuration.")
        return read_config(raw)

    def state(self) -> dict[str, Any]:
        """What ``state.json`` says; empty where there is none or it is being damaged."""
        try:
            found = json.loads(self.state_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

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
        write_text(self.state_file, json.dumps(_finite(content), indent=1) + "\n")

    def link(self, checkpoint: Path, name: str) -> None:
        """Let ``checkpoints/name`` be that checkpoint; the old one stays until it is."""
        with writing(self.checkpoints / name) as partial:
            partial.unlink()
            try:
                os.link(checkpoint, partial)
            except OSError:  # a disk without hard links
                partial.write_bytes(checkpoint.read_bytes())

    def thin_out(self, keep: int) -> None:
        """Remove all but the ``keep`` newest numbered checkpoints; links to others keep theirs."""
        for old in self.steps()[:-keep]:
            old.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove what a process that was killed had half written; none may be at work."""
        for folder in (self.folder, self.checkpoints, self.pictures):
            for partial in folder.glob(f".*{PARTIAL}"):
                partial.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    with writing(file) as partial:
        partial.write_text(text, encoding="utf-8")


def process_identity() -> dict[str, Any]:
    """This process: its number, and when it began, since numbers are used again."""
    return {"pid": os.getpid(), "started": process_started(os.getpid())}


# Locks of this process. A loader process that outlives it must not hold on to them, or the run
# could not be resumed at once.
_HELD: list[TextIO] = []


def _let_go() -> None:
    for file in _HELD:
        file.close()
    _HELD.clear()


os.register_at_fork(after_in_child=_let_go)


@contextlib.contextmanager
def locked(run: Run) -> Iterator[None]:
    """Hold a run's lock, so that no other process trains into the same folder.

    Raises:
        RunError: another process holds it, or the folder cannot be made.
    """
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        file = (run.folder / "lock").open("a+")
    except OSError as error:
        raise RunError(
            f"{run.folder} cannot hold a run: {error.strerror or error}. Choose another --out."
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = run.state().get("pid")
            raise RunError(
                f"{run.folder} is being trained by another process"
                f"{f' ({pid})' if pid else ''}. Wait for it, or stop it."
            ) from None
        _HELD.append(file)
        try:
            yield
        finally:
            _HELD.remove(file)
            fcntl.flock(file, fcntl.LOCK_UN)  # aloud, in case a child was forked just now


class Metrics:
    """Numbers by step, appended to ``metrics.jsonl``; flushed line by line."""

    def __init__(
        self, run: Run, *, from_step: int, validated: bool = True, tensorboard: bool = False
    ) -> None:
        """Go on after ``from_step``: later lines are cut off, since their steps come again.

        So is that step's validation, unless it is ``validated`` already.
        """
        self.board = Board(run.folder / "tensorboard", from_step=from_step) if tensorboard else None
        file = run.metrics_file
        if file.exists():
            kept = "".join(kept_lines(file, from_step, validated=validated))
            write_text(file, kept)
        self.stream: TextIO = file.open("a", encoding="utf-8")

    def write(self, kind: str, step: int, **numbers: Any) -> None:
        """Add a line."""
        record = _finite({"kind": kind, "step": step, **numbers})
        self.stream.write(json.dumps(record, ensure_ascii=False) + "\n")
        self.stream.flush()
        if self.board is not None:
            self.board.write(kind, step, numbers)

    def close(self) -> None:
        """Close the file."""
        self.stream.close()
        if self.board is not None:
            self.board.close()


def kept_lines(file: Path, step: int, *, validated: bool = True) -> Iterator[str]:
    """Whole lines of steps up to ``step``; without its validation, unless ``validated``."""
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if not line.endswith("\n"):
                continue
            record = json.loads(line)
            repeated = record["step"] == step and record["kind"] == "validation" and not validated
            if record["step"] <= step and not repeated:
                yield line


def read_metrics(file: Path) -> list[dict[str, Any]]:
    """All whole lines; none where there is no file yet."""
    if not file.exists():
        return []
    return [json.loads(line) for line in kept_lines(file, sys.maxsize)]


def _finite(content: Mapping[str, Any]) -> dict[str, Any]:
    """JSON knows neither NaN nor infinity: None stands for them."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in content.items()
    }


def start_log(file: Path | None, *, quiet: bool = False) -> logging.Logger:
    """Log to a file with times, and to stderr without; of several processes only the first."""
    logger = end_log()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if not quiet:
        shown = logging.StreamHandler(sys.stderr)
        shown.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(shown)
    if file is not None:
        kept = logging.FileHandler(file, encoding="utf-8")
        kept.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        logger.addHandler(kept)
    return logger


def end_log() -> logging.Logger:
    """Close the log's file."""
    logger = logging.getLogger("trainers")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True
    return logger
