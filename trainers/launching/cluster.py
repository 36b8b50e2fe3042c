"""Runs that are jobs of SLURM's: sent there, stopped there, and looked after from here.

SLURM has its own queue, so such a run never waits in ours. What SLURM says of it is kept in its
``launch.json``, where everybody reads it; whoever lists runs has it brought up to date, at most
every few seconds and without waiting for an answer.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ppap.settings import SettingError
from ppap.writing import writing
from trainers.launching.queue import held
from trainers.runs.folder import RunError
from trainers.runs.launch import Launch, read_launch, run_folders, write_launch
from trainers.runs.values import opened
from trainers.slurm import commands
from trainers.slurm.commands import SlurmError
from trainers.slurm.jobs import GONE, RUNNING, Job
from trainers.slurm.options import Options, read_defaults
from trainers.slurm.script import CODE, SCRIPT, script

logger = logging.getLogger("trainers")

# Seconds between two questions to SLURM, which answers a whole cluster.
EVERY = 5.0
# A job that was just handed in may not be known everywhere yet.
NEW_SECONDS = 30.0
DEVICE = "slurm"


def send(
    folder: Path,
    launch: Launch,
    options: Options,
    begin: Sequence[str],
    resume: Sequence[str],
    program: Sequence[str] = ("-m", "trainers.train"),
) -> Launch:
    """Hand a run in to SLURM; the lock is held. Its script stays in its folder.

    Args:
        folder: of the run, which exists.
        launch: what is known of it.
        options: what SLURM is asked for.
        begin: the words that begin the run, after the program.
        resume: those that go on with it.
        program: what Python is started with to train.

    Raises:
        RunError, SettingError: SLURM refuses it, at the option where it names one; or its defaults
            cannot be read.
    """
    text = script(folder, options, begin, resume, read_defaults().setup, program)
    with writing(folder / SCRIPT) as partial:
        partial.write_text(text, encoding="utf-8")
    (folder / CODE).unlink(missing_ok=True)
    began = time.time()
    try:
        number = commands.submit(folder / SCRIPT)
    except SlurmError as error:
        option = commands.option_of(error)
        if option is not None:
            raise SettingError(f"slurm.{option}", str(error)) from None
        raise RunError(str(error)) from None
    sent = replace(
        launch,
        queued=None,
        began=began,
        stop=None,
        keeper=None,
        trainer=None,
        ended=None,
        code=None,
        problem="",
        job=Job(number),
    )
    write_launch(folder, sent)
    return sent


def stop(job: Job, *, now: bool) -> None:
    """Let a job write a checkpoint and end, or end it at once; RunError where SLURM refuses."""
    try:
        if now:
            commands.cancel(job.number)
        else:
            commands.ask_to_stop(job.number)
    except SlurmError as error:
        raise RunError(str(error)) from None


# Of a script, so many bytes are shown.
LARGEST_SCRIPT = 2**20


def script_of(folder: Path) -> str:
    """The script that was handed in; empty where there is none."""
    with contextlib.suppress(OSError), opened(folder / SCRIPT, folder.parent) as stream:
        return stream.read(LARGEST_SCRIPT).decode("utf-8", "replace")
    return ""


def open_jobs(root: Path) -> dict[str, Path]:
    """The runs in a folder whose jobs have not ended, by the job's number."""
    found = {}
    for folder in run_folders(root):
        launch = read_launch(folder)
        if launch is not None and launch.job is not None and launch.ended is None:
            found[launch.job.number] = folder
    return found


def refresh(root: Path) -> None:
    """Ask SLURM about all jobs that have not ended, and note down what is new.

    Raises:
        SlurmError: it does not answer; nothing is changed.
    """
    jobs = open_jobs(root)
    seen = commands.look(list(jobs))
    if not any(_changes(jobs[number], job) for number, job in seen.items()):
        return
    with held(root):
        for number, job in seen.items():
            launch = read_launch(jobs[number])
            # Meanwhile it may have been sent anew, under another number.
            if launch is None or launch.job is None or launch.job.number != number:
                continue
            new = launch.began is not None and time.time() < launch.began + NEW_SECONDS
            if job.state == GONE and new:
                continue
            ended = None if job.active() else time.time()
            if job.state == GONE and launch.job.state in RUNNING:
                job = job._replace(nodes=launch.job.nodes)
            changed = replace(launch, job=job, ended=ended, code=code_of(jobs[number], number))
            if changed != launch:
                write_launch(jobs[number], changed)


def _changes(folder: Path, job: Job) -> bool:
    launch = read_launch(folder)
    return launch is not None and (launch.job != job or not job.active())


def code_of(folder: Path, number: str) -> int | None:
    """The trainer's exit status, which the job's shell noted down; None where it did not."""
    with contextlib.suppress(OSError, ValueError):
        job, code = (folder / CODE).read_text(encoding="utf-8").split()
        if job == number and 0 <= int(code) < 256:
            return int(code) if int(code) <= 128 else 128 - int(code)
    return None


class Lookout:
    """Keeps what is known of the jobs in a folder up to date, as long as somebody asks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problem = ""
        """Why the last look failed, in a sentence."""
        self._lock = threading.Lock()
        self._next = 0.0

    def look(self) -> None:
        """Have SLURM asked, if it is time to; does not wait for the answer."""
        if time.monotonic() < self._next or not self._lock.acquire(blocking=False):
            return
        self._next = time.monotonic() + EVERY
        if not open_jobs(self.root):
            self._lock.release()
            return
        threading.Thread(target=self._look, daemon=True).start()

    def soon(self) -> None:
        """Something was done: ask at the next look."""
        self._next = 0.0

    def _look(self) -> None:
        try:
            refresh(self.root)
            self.problem = ""
        except SlurmError as error:
            self.problem = str(error)
        except OSError as error:  # the folder went meanwhile
            self.problem = f"{self.root} cannot be used: {error.strerror or error}."
        finally:
            self._lock.release()


def options_of(about: Mapping[str, object]) -> Options | None:
    """What SLURM was asked for, as ``launch.json`` has it; None for a run on this machine.

    Raises:
        SettingError: it makes no sense.
    """
    kept = about.get("slurm")
    return Options().with_(kept) if isinstance(kept, Mapping) else None
