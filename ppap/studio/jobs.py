"""Long work that a page asks for: a command in a process of its own, followed line by line."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ppap.places import ROOT
from ppap.studio.access.owners import claim
from ppap.studio.access.visitor import Visitor, asking, current
from ppap.studio.requests import RequestError
from trainers.command import FAILED, WRONG

EVERY = 0.3
PATIENCE_SECONDS = 5.0
MAX_LINES = 200
BUSY = "Another user's job is running. Wait until it has finished."
# Of the log of what failed, for pages.
LOG_LINES = 12
_COUNTED = re.compile(r"^.+: ([\d,]+) of ([\d,]+) images")
_PER_CENT = re.compile(r"^.+: (\d+) %")


@dataclass(eq=False)
class Job:
    """One piece of work under way."""

    key: str
    title: str
    folder: Path
    """Where the command writes."""
    result: str
    """The file there that is written when all is well."""
    process: subprocess.Popen[str] | None = None
    state: str = "running"
    """running, then done, failed or cancelled."""
    text: str = "Starting"
    share: float = 0.0
    lines: list[str] = field(default_factory=list)
    cancelled: bool = False
    owner: str = field(default_factory=lambda: current().user)
    """The user whose it is; empty where nobody logs in."""


def command(module: str) -> tuple[str, ...]:
    """The first words of a command of the project's own."""
    return (sys.executable, "-m", module)


def new_folder(parent: Path, title: str, otherwise: str) -> Path:
    """Make a folder for whoever asks, named after the time and a title; RequestError where it
    cannot be."""
    stem = re.sub(r"[^\w.-]+", "_", title)[:60].strip("._") or otherwise
    folder = parent / f"{time.strftime('%Y%m%d-%H%M%S')}-{stem}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        claim(folder)
    except OSError as error:
        raise RequestError(f"{folder} cannot be created: {error.strerror or error}.") from None
    return folder


def begin(job: Job, words: Sequence[str]) -> None:
    """Start the process of a job, and follow what it says."""
    job.process = subprocess.Popen(
        list(words),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    threading.Thread(target=follow, args=(job,), name="job", daemon=True).start()


def follow(job: Job) -> None:
    """Read what the process says until it ends."""
    assert job.process is not None
    assert job.process.stderr is not None
    with job.process.stderr as stream:
        for line in stream:
            follow_line(job, line.strip())
    code = job.process.wait()
    if code == 0 and (job.folder / job.result).is_file():
        job.state, job.text, job.share = "done", "Done", 1.0
        return
    with contextlib.suppress(OSError):  # what it left behind is no result
        for file in job.folder.iterdir():
            file.unlink()
        job.folder.rmdir()
    if job.cancelled:
        job.state, job.text = "cancelled", "Cancelled"
    else:
        job.text, job.state = reason(job.lines, code), "failed"


def reason(lines: Sequence[str], code: int) -> str:
    """Why a process failed, in a sentence: commands end with theirs; other lines are only a log."""
    if any(line.startswith("Traceback ") for line in lines):
        return f"It failed because of a bug in the program: {lines[-1]}"
    if code == -signal.SIGKILL:
        return "It was killed, most likely because the machine ran out of memory."
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"It was stopped from outside ({name})."
    if code not in (FAILED, WRONG) or not lines:
        return f"It ended with exit status {code}."
    return lines[-1]


def follow_line(job: Job, line: str) -> None:
    """Take in a line of the process."""
    if not line:
        return
    if found := _COUNTED.match(line):
        done, total = (int(number.replace(",", "")) for number in found.groups())
        job.text, job.share = line, done / max(1, total)
        return
    if found := _PER_CENT.match(line):
        job.text, job.share = line, int(found[1]) / 100
        return
    job.lines = [*job.lines[-MAX_LINES:], line]
    job.text = line


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


class OneAtATime:
    """The newest job of a kind; another begins only when it has ended.

    One for all users, as they share one machine. What it is, only its own user is told.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._job: Job | None = None

    def begin(self, start: Callable[[], Job], refusal: Callable[[Job], str]) -> dict[str, Any]:
        """Start a job; RequestError, with what ``refusal`` says, while another is under way."""
        with self._lock:
            if self._job is not None and self._job.state == "running":
                own = current().owns(self._job.owner)
                raise RequestError(refusal(self._job) if own else BUSY)
            self._job = start()
        return told(self._job)

    def close(self) -> None:
        """End the job, whose ever it is."""
        if self._job is not None:
            with asking(Visitor(user=self._job.owner)):
                self.cancel()

    def cancel(self) -> None:
        """End the job, if one of whoever asks is under way."""
        job = self._job
        if job is not None and job.state == "running" and current().owns(job.owner):
            job.cancelled = True
            end(job.process)

    def wait(self) -> Job:
        """The job, when it has ended (scripts)."""
        assert self._job is not None
        while self._job.state == "running":
            time.sleep(0.1)
        return self._job

    def told(self) -> dict[str, Any] | None:
        """The job as pages get it; None before the first."""
        job = self._job
        return None if job is None or not current().owns(job.owner) else told(job)


def told(job: Job) -> dict[str, Any]:
    """A job as pages get it."""
    state = job.state
    return {
        "key": job.key,
        "title": job.title,
        "state": state,
        "text": job.text,
        "share": job.share,
        "lines": [line for line in job.lines if line != job.text][-LOG_LINES:]
        if state == "failed"
        else [],
    }


def folders_in(root: Path) -> list[Path]:
    """The folders in ``root``; links and hidden ones are none."""
    try:
        entries = list(os.scandir(root))
    except OSError:
        return []
    return [
        root / entry.name
        for entry in entries
        if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
    ]


def named(folders: Iterable[Path], name: object, file: str) -> Path | None:
    """The one of that name, if ``file`` is in it.

    Found among what was listed, so that no name, whatever it is, leads elsewhere.
    """
    for folder in folders:
        if folder.name == name and (folder / file).is_file():
            return folder
    return None
