"""What people do about the queue and write about runs: pause, reorder, tags and notes.

All of it is done under the lock of the folder of all runs, as everything that ``Runner`` does.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from trainers.launching.ordering import (
    EVERYBODY,
    moved,
    read_arrangement,
    with_pause,
    without_pause,
    write_arrangement,
)
from trainers.launching.queue import held, start_waiting, waiting
from trainers.launching.runner import Runner
from trainers.runs.folder import RunError
from trainers.runs.launch import read_launch
from trainers.runs.notes import Notes, changed, read_notes, write_notes

BY_SLURM = "SLURM decides the order of its jobs, not this queue."
CHANGED = (
    "Someone else has changed the tags or the note in the meantime. Look at what is there now, "
    "then save again to replace it."
)


class Paused(NamedTuple):
    """Whether new runs start."""

    since: float | None
    """Seconds since 1970; None where they start."""
    by_all: bool
    """Whether it is everybody's pause, which one person alone cannot end."""


class Arranging:
    """What can be done about the queue and the notes of a runner's runs."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    def paused(self) -> Paused:
        """Whether new runs of whoever asks start."""
        user = self.runner.holds()
        arrangement = read_arrangement(self.runner.root)
        since = arrangement.paused_for(user)
        return Paused(since, user != EVERYBODY and EVERYBODY in arrangement.paused)

    def pause(self) -> Paused:
        """Start nothing new until ``go_on``; what runs goes on, and SLURM's jobs do, too."""
        root = self.runner.root
        with held(root):
            write_arrangement(root, with_pause(read_arrangement(root), self.runner.holds()))
        return self.paused()

    def go_on(self) -> Paused:
        """Let new runs start again, those whose devices are free at once.

        Raises:
            RunError: everybody's queue is paused, and whoever asks has runs of their own only.
        """
        root = self.runner.root
        if self.paused().by_all:
            raise RunError(
                "The queue is paused for all users: only the person who runs this studio can "
                "resume it."
            )
        with held(root):
            write_arrangement(root, without_pause(read_arrangement(root), self.runner.holds()))
            start_waiting(root)
        return self.paused()

    def move(self, name: object, way: object) -> None:
        """Put a waiting run elsewhere in the queue, as ``ordering.moved``.

        Raises:
            SettingError, RunError: there is no such run or way, or it does not wait here.
        """
        root = self.runner.root
        with held(root):
            folder = self.runner.folder(name)
            queue = waiting(root)
            if folder not in queue:
                launch = read_launch(folder)
                by_slurm = launch is not None and launch.job is not None and launch.alive()
                raise RunError(BY_SLURM if by_slurm else f"{folder.name} is no longer waiting.")
            order = moved(queue, folder, way, self.runner.sees)
            entries = tuple((one.name, since) for one in order if (since := _since(one)))
            write_arrangement(root, read_arrangement(root)._replace(order=entries))
            start_waiting(root)  # the first may fit where the one before did not

    def note(
        self,
        name: object,
        wanted: Notes,
        known: Notes | None,
        parts: Collection[str] = Notes._fields,
    ) -> Notes:
        """Write a run's tags and note; also of one that runs.

        Args:
            name: of the run.
            wanted: what shall stand there.
            known: what stood there when somebody began to write; None: whatever stands there.
            parts: which of ``wanted`` is written; the rest stays as it is.

        Returns:
            What stands there now.

        Raises:
            SettingError: there is no such run.
            RunError: somebody else changed it meanwhile, or it cannot be written.
        """
        with held(self.runner.root):
            folder = self.runner.folder(name)
            if known is not None and changed(folder, known):
                raise RunError(CHANGED)
            written = read_notes(folder)._replace(**{part: getattr(wanted, part) for part in parts})
            try:
                write_notes(folder, written)
            except OSError as error:
                raise RunError(f"The note cannot be written: {error.strerror or error}.") from None
        return written


def _since(folder: Path) -> float | None:
    launch = read_launch(folder)
    return None if launch is None else launch.queued


def as_reply(paused: Paused) -> dict[str, Any]:
    """For JSON."""
    return paused._asdict()
