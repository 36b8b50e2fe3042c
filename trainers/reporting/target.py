"""What is to be scored on what: a run or a checkpoint file, and a split that is fit for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ppap.checkpoints.own import is_checkpoint, load_checkpoint
from ppap.data import DataError, Dataset, open_dataset, preflight
from ppap.data.base import OnError
from ppap.protocol import STUDIO, Protocol
from ppap.settings import SettingError
from trainers.command import expanded, say
from trainers.progress import Progress
from trainers.reporting.wanted import Wanted
from trainers.runs.folder import Run, RunError

BANK = "train-semi"


class Task(NamedTuple):
    """What the arguments mean."""

    checkpoint: Path
    data: Path | None
    kind: str | None
    split: str
    asked: bool
    """Whether the split was named on the command line."""
    on_error: OnError = "stop"
    """What an image that cannot be read does."""
    protocol: Protocol = STUDIO
    """Of the evaluation."""
    left_out: int = 0
    """Training images that the run could not read and left out."""


def task_of(wanted: Wanted) -> Task:
    """The checkpoint and the data set; what is not said, the run or the checkpoint says.

    Raises:
        BackboneError: the checkpoint cannot be read.
        RunError: the folder is no run, or has no checkpoint yet.
        SettingError: nothing says where the data are.
    """
    assert wanted.target is not None
    target = expanded(wanted.target)
    if not target.exists():
        raise RunError(f"{target} does not exist: give a run's folder or a checkpoint file.")
    known: object = None
    left_out: object = 0
    checkpoint = target
    if target.is_dir():
        run = Run(target)
        if not run.checkpoints.is_dir():
            raise RunError(f"{target} is not a run: it has no folder 'checkpoints'.")
        checkpoint, state = run.to_evaluate(), run.state()
        known, left_out = state.get("data"), state.get("left_out")
        warn_of_unfinished(run)
    config = load_checkpoint(checkpoint).config if is_checkpoint(checkpoint) else {}
    kind, data = wanted.kind, wanted.data and expanded(wanted.data)
    if data is None:
        kind = kind or config.get("dataset") or None
        data = Path(known) if isinstance(known, str) else None
    if kind == "samples":
        data = None
    elif data is None:
        raise SettingError("data", "Give the data set folder: --data DIR.")
    split = wanted.split or config.get("eval_split") or "val"
    said = wanted.on_error or config.get("on_error")
    on_error: OnError = "skip" if said == "skip" else "stop"
    protocol = Protocol.of(wanted.protocol or config.get("protocol") or "studio")
    count = left_out if isinstance(left_out, int) else 0
    asked = wanted.split is not None
    return Task(checkpoint, data, kind, split, asked, on_error, protocol, count)


def warn_of_unfinished(run: Run) -> None:
    """Say so where a run has steps to go: its probes may not have begun to learn."""
    state = run.state()
    step, steps = state.get("step"), state.get("steps")
    if isinstance(step, int) and isinstance(steps, int) and step < steps:
        say(
            f"Warning: {run.folder} is at training step {step} of {steps}; the scores are for "
            "what it has learnt so far."
        )


def sound(task: Task, split: str) -> Dataset:
    """A split of the data set, if nothing in it is missing or broken; says what is.

    Raises:
        DataError: something is, or there is no such data set or split.
    """
    dataset = open_dataset(task.data, kind=task.kind, split=split)
    if task.asked and dataset.splits == ("all",) and split != "all":
        say(f"Note: {dataset.title} has no splits; all images are evaluated, not '{split}'.")
    with Progress("Checking the files", len(dataset), "images") as progress:
        findings = preflight(
            task.data, task.kind, split=split, on_error=task.on_error, progress=progress.at
        )
    for finding in findings:
        say(str(finding))
    errors = sum(finding.severity == "error" for finding in findings)
    if errors:
        count = "1 error" if errors == 1 else f"{errors} errors"
        raise DataError(dataset.root, f"has {count}, listed above: fix this first")
    return replace(dataset, on_error=task.on_error, resizing=task.protocol.resizing)
