"""Evaluations that pages ask for: the command ``trainers.evaluate`` in a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ppap.evaluation.files import JSON
from ppap.studio.checkpoints import Chosen
from ppap.studio.requests import RequestError

ROOT = Path(__file__).parent.parent.parent
COMMAND = (sys.executable, "-m", "trainers.evaluate")
EVERY = 0.3
PATIENCE_SECONDS = 5.0
MAX_LINES = 200
_PROGRESS = re.compile(r"^(.+): ([\d,]+) of ([\d,]+) images")


class Wanted(NamedTuple):
    """An evaluation that was asked for, checked."""

    chosen: Chosen
    data: str
    """A folder, or "samples"."""
    split: str
    """Empty for the run's own."""
    crf: bool
    kind: str = ""
    """Of the data set; empty where it is found out."""

    def arguments(self, folder: Path) -> list[str]:
        """Of the command; every value stays in one word with its name, so that none is a name."""
        words = [str(self.chosen.file), f"--pictures={folder}", f"--progress-every={EVERY}"]
        if self.data == "samples":
            words.append("--kind=samples")
        else:
            words.append(f"--data={self.data}")
            words += [f"--kind={self.kind}"] if self.kind else []
        if self.split:
            words.append(f"--split={self.split}")
        return [*words, "--crf"] if self.crf else words


@dataclass(eq=False)
class Evaluation:
    """One under way."""

    key: str
    title: str
    folder: Path
    process: subprocess.Popen[str] | None = None
    state: str = "running"
    """running, then done, failed or cancelled."""
    text: str = "Starting"
    share: float = 0.0
    lines: list[str] = field(default_factory=list)
    cancelled: bool = False


def begin(one: Evaluation, wanted: Wanted) -> None:
    """Start the process of an evaluation, and follow what it says."""
    one.process = subprocess.Popen(
        [*COMMAND, *wanted.arguments(one.folder)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    threading.Thread(target=follow, args=(one,), name="evaluation", daemon=True).start()


def follow(one: Evaluation) -> None:
    """Read what the process says until it ends."""
    assert one.process is not None
    assert one.process.stderr is not None
    with one.process.stderr as stream:
        for line in stream:
            follow_line(one, line.strip())
    code = one.process.wait()
    if code == 0 and (one.folder / JSON).is_file():
        one.state, one.text, one.share = "done", "Done", 1.0
        return
    with contextlib.suppress(OSError):  # what it left behind is no report
        for file in one.folder.iterdir():
            file.unlink()
        one.folder.rmdir()
    if one.cancelled:
        one.state, one.text = "cancelled", "Cancelled"
    else:
        said = one.lines[-1] if one.lines else f"It ended with the exit status {code}."
        one.text, one.state = said, "failed"


def follow_line(one: Evaluation, line: str) -> None:
    """Take in a line of the process."""
    if not line:
        return
    if found := _PROGRESS.match(line):
        done, total = (int(number.replace(",", "")) for number in found.groups()[1:])
        one.text, one.share = line, done / max(1, total)
        return
    one.lines = [*one.lines[-MAX_LINES:], line]
    one.text = line


def end(process: subprocess.Popen[str] | None) -> None:
    """End a process and those that it started."""
    if process is None or process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def own_data(chosen: Chosen) -> tuple[str, str]:
    """The data set that a run was trained with: folder and kind.

    Raises:
        RequestError: nothing says which.
    """
    if chosen.run is None:
        raise RequestError("Say on which data set the file shall be evaluated.")
    kind = ""
    with contextlib.suppress(RuntimeError, ValueError):  # no configuration, or an odd one
        kind = chosen.run.config().dataset
    if kind == "samples":
        return "samples", ""
    folder = chosen.run.state().get("data")
    if not isinstance(folder, str) or not folder:
        raise RequestError(f"Say on which data set {chosen.title} shall be evaluated.")
    return str(ROOT / folder), kind
