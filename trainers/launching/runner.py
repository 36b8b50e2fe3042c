"""Everything that can be done to runs from outside: start, stop, resume, rename, delete, compare.

The folder of all runs is the only memory. Whatever is done is done under its lock, so that several
studios, pages and commands see the same and never start one thing twice.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ppap.settings import SettingError
from trainers.command import default_cache
from trainers.devices import choose_device
from trainers.launching.changed import goes_on
from trainers.launching.cluster import Lookout, script_of, send
from trainers.launching.cluster import stop as end_job
from trainers.launching.estimates import Estimate, Pace, estimate
from trainers.launching.ordering import read_arrangement
from trainers.launching.orders import (
    NAME,
    Order,
    arguments,
    command_line,
    resuming,
    run_name,
    sent_to,
)
from trainers.launching.queue import bury, canonical, dispatch, held, start_waiting, waiting
from trainers.recipes import find
from trainers.runs.folder import Run, RunError, locked
from trainers.runs.launch import (
    LAUNCH,
    PATIENCE,
    Launch,
    holds_run,
    is_alive,
    read_launch,
    run_folders,
    trainer_of,
    write_launch,
)
from trainers.runs.owner import given_owner, write_owner
from trainers.runs.settled import Settled
from trainers.runs.side_by_side import side_by_side
from trainers.runs.standing import ACTIVE, Reading, Standing, last_lines, settings_of, standing
from trainers.runs.values import number, text
from trainers.runs.watching import Watching
from trainers.slurm.line import SLURM
from trainers.slurm.options import Options

# What Python is started with to train.
PROGRAM = ("-m", "trainers.train")
# Folders that are being deleted; whatever is left of them after a power cut goes with the next.
DELETED = ".deleted-"
PAUSED = "Waiting: the queue is paused."


class Contents(NamedTuple):
    """What goes when a run is deleted."""

    files: int
    bytes: int
    checkpoints: int
    pictures: int


class Line(NamedTuple):
    """The queue."""

    places: dict[Path, int]
    """Where each run stands in it, from 1."""
    held_back: frozenset[Path]
    """Those that do not start before the queue is resumed."""


def in_line(one: Standing, folder: Path, line: Line) -> Standing:
    """Where a run stands, with its place in the queue."""
    if folder not in line.places:
        return one
    text = PAUSED if folder in line.held_back else one.text
    return replace(one, position=line.places.get(folder), text=text)


class Runner:
    """The runs in one folder.

    Args:
        root: the folder, which need not exist yet.
        cache: of cached features; by default where the command keeps them.
        patience: seconds that a run has to stop before it is killed.
        owner: tells to whom a run belongs that is started now; empty for everybody.
        sees: tells whether whoever asks may see a run.
        holds: tells whose runs whoever asks holds back by pausing the queue; empty for everybody's.
        slurm: what SLURM is asked for by orders that do not say where they run; None: they run
            on this machine.
    """

    def __init__(
        self,
        root: Path,
        *,
        cache: Path | None = None,
        patience: float = PATIENCE,
        owner: Callable[[], str] = given_owner,
        sees: Callable[[Path], bool] = lambda _: True,
        holds: Callable[[], str] = lambda: "",
        slurm: Options | None = None,
    ) -> None:
        self.root = root.expanduser().absolute()
        self.cache = cache
        self.patience = patience
        self._owner, self.sees, self.holds = owner, sees, holds
        self.reading = Reading()
        self.settled = Settled()
        self.watching = Watching()
        self.slurm = slurm
        self.lookout = Lookout(self.root)

    # --- what there is

    def runs(self) -> list[Standing]:
        """All runs, the newest first. Starts what waits for a device that has become free."""
        bury()
        folders = run_folders(self.root)
        # Of hundreds most have ended long ago: they do not wait, and lie as they did.
        settled = self.settled.among(folders)
        dispatch(self.root, self.reading.launch, [one for one in folders if one not in settled])
        self.lookout.look()
        line = self._line([one for one in folders if one not in settled])
        found = []
        for folder in filter(self.sees, folders):
            with contextlib.suppress(OSError):  # somebody deletes it right now
                one = settled.get(folder) or self.settled.read(folder, self.reading)
                found.append(in_line(one, folder, line))
        return sorted(found, key=lambda one: (-one.asked, one.name))

    def standing(self, name: object) -> Standing:
        """One run; SettingError where there is none."""
        folder = self.folder(name)
        return in_line(standing(folder, self.reading), folder, self._line())

    def _line(self, folders: Sequence[Path] | None = None) -> Line:
        """The queue as it is now; ``folders`` as of ``waiting``."""
        queue = waiting(self.root, self.reading.launch, folders)
        arrangement = read_arrangement(self.root)
        held_back = frozenset(filter(arrangement.holds_back, queue))
        return Line({folder: place for place, folder in enumerate(queue, 1)}, held_back)

    def folder(self, name: object) -> Path:
        """The folder of a run.

        Raises:
            SettingError: there is none of that name; the field is ``name``.
        """
        text = run_name(name)
        # A checked name leads nowhere else; not looked up in the list, because pages ask for
        # twenty runs at a time.
        folder = self.root / text
        if not folder.is_symlink() and holds_run(folder) and self.sees(folder):
            return folder
        raise SettingError("name", f"There is no run called {text}.")

    def settings(self, name: object) -> dict[str, Any]:
        """All settings of a run, as far as they are known."""
        return settings_of(self.folder(name), self.reading)

    def last_lines(self, name: object) -> list[str]:
        """The end of what a run printed."""
        return last_lines(self.folder(name))

    def about(self, name: object) -> dict[str, Any]:
        """Recipe, data and changed settings of a run, to ask for one like it."""
        folder = self.folder(name)
        launch = self.reading.launch(folder)
        if launch is not None and launch.about:
            known = {part: launch.about[part] for part in ("recipe", "data", "settings")}
            slurm = launch.about.get("slurm")
            return known if slurm is None else {**known, "on": SLURM, "slurm": slurm}
        config = settings_of(folder, self.reading)
        if not config.get("recipe"):
            raise unreadable(folder)
        usual = find(str(config.get("recipe", ""))).config.as_dict()
        changed = {n: as_text(v) for n, v in config.items() if v != usual[n] and n != "recipe"}
        data = text(self.reading.json(folder / "state.json").get("data"))
        return {"recipe": config["recipe"], "data": data, "settings": changed}

    def command(self, name: object) -> str:
        """The command line that would begin the same run."""
        folder = self.folder(name)
        return command_line(self.about(name), folder)

    def script(self, name: object) -> str:
        """The script that a run was handed in to SLURM with; empty where it was not."""
        return script_of(self.folder(name))

    def contents(self, name: object) -> Contents:
        """What goes when the run is deleted."""
        folder = self.folder(name)
        files = total = 0
        for parent, _, names in os.walk(folder):
            for file in names:
                with contextlib.suppress(OSError):
                    stat = os.lstat(Path(parent) / file)
                    # last.pt is another name of a numbered checkpoint: it takes nothing more.
                    total += stat.st_blocks * 512 // max(1, stat.st_nlink)
                    files += 1
        run = Run(folder)
        pictures = sum(1 for _ in run.pictures.glob("*.png"))
        return Contents(files, total, len(run.steps()), pictures)

    # --- what it takes

    def estimate(self, order: Order) -> Estimate:
        """What a run will need; errors as ``trainers.launching.estimates.estimate``."""
        cache = self.cache or default_cache()
        return estimate(order, cache=cache, out=self.root, paces=self.paces(order))

    def paces(self, order: Order) -> Iterator[Pace]:
        """How fast runs like it went here, the newest first."""
        alike = ("backbone", "rule", "size", "batch", "device", "cache")
        wanted = order.config.as_dict()
        for one in self.runs():
            folder = self.root / one.name
            config = settings_of(folder, self.reading)
            speed = number(self.reading.json(folder / "state.json").get("images_per_second"))
            speed = speed or self.watching.last(folder, "images_per_second")
            if speed and all(config.get(name) == wanted[name] for name in alike):
                yield Pace(one.name, float(speed))

    # --- what can be done

    def start(self, order: Order) -> Standing:
        """Begin a run, put it into the queue of its devices, or send it to SLURM.

        Raises:
            SettingError: the name is taken, or the device does not exist.
            RunError: disk or memory do not suffice, and how much there is; or SLURM refuses it.
        """
        if order.slurm is None and self.slurm is not None:
            order = sent_to(order, self.slurm)
        needs = self.estimate(order)
        if needs.refusal:
            raise RunError(needs.refusal)
        folder = self.root / run_name(order.name)
        about = {**order.about(), "config": order.config.as_dict()}
        with held(self.root):
            try:
                folder.mkdir()
            except FileExistsError:
                raise SettingError(
                    "name", f"{order.name} already exists. Choose another name."
                ) from None
            except OSError as error:
                raise RunError(f"{folder} cannot be made: {error.strerror or error}.") from None
            now = time.time()
            launch = Launch(
                arguments=(*PROGRAM, *arguments(about, folder, self.cache)),
                device=canonical(needs.device),
                automatic=canonical(str(choose_device("auto"))),
                asked=now,
                disk=needs.disk,
                queued=now,
                patience=self.patience,
                about=about,
                among=needs.among,
                count=needs.count,
            )
            try:
                write_owner(folder, self._owner())
                self._begin(folder, launch, order.slurm)
            except (RunError, SettingError):
                shutil.rmtree(folder, ignore_errors=True)  # nothing has begun
                raise
            except OSError as error:
                if (folder / LAUNCH).exists():  # it waits; what failed was to start another
                    raise
                # Or nobody would see it, and its name would be taken.
                shutil.rmtree(folder, ignore_errors=True)
                raise RunError(f"{folder} cannot be made: {error.strerror or error}.") from None
        return self.standing(order.name)

    def _begin(
        self, folder: Path, launch: Launch, slurm: Options | None, changes: Sequence[str] = ()
    ) -> None:
        """Let a run wait its turn, or send it to SLURM; the lock is held.

        ``changes``: settings, as the command line writes them, with which it goes on.
        """
        if slurm is None:
            write_launch(folder, launch)
            start_waiting(self.root)
        else:
            begin = arguments(launch.about, folder, self.cache)
            resume = resuming(folder, self.cache, changes)
            send(folder, launch, slurm, begin, resume, PROGRAM)
            self.lookout.soon()

    def stop(self, name: object, *, now: bool = False) -> Standing:
        """Ask a run to write a checkpoint and end, or take it out of the queue.

        Args:
            name: of the run.
            now: kill it, if it was asked before; what it did since its last checkpoint is lost.

        Raises:
            SettingError, RunError: there is no such run, or it does not run.
        """
        with held(self.root):
            folder = self.folder(name)
            launch = read_launch(folder)
            if launch is not None and launch.queued is not None:
                gone = replace(launch, queued=None, stop=time.time(), ended=time.time())
                write_launch(folder, gone)
            elif launch is not None and launch.job is not None and launch.alive():
                end_job(launch.job, now=now)
                write_launch(folder, replace(launch, stop=launch.stop or time.time()))
                self.lookout.soon()
            elif launch is not None and launch.alive():
                write_launch(folder, replace(launch, stop=launch.stop or time.time()))
                self._signal(folder, launch, now=now)
            elif is_alive(folder):
                self._signal(folder, launch, now=now)
            else:
                raise RunError(f"{folder.name} is not running.")
        return self.standing(name)

    def _signal(self, folder: Path, launch: Launch | None, *, now: bool) -> None:
        trainer = launch.trainer if launch is not None else None
        if trainer is not None and trainer.alive():
            if now:
                trainer.signal_group(signal.SIGKILL)
            else:
                # Only itself: the processes that read images for it end with it.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(trainer.pid, signal.SIGTERM)
            return
        other = trainer_of(folder)  # started on a command line
        if other is not None and other.alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(other.pid, signal.SIGKILL if now else signal.SIGTERM)

    def resume(
        self,
        name: object,
        changes: Mapping[str, object] | None = None,
        place: Mapping[str, Any] | None = None,
    ) -> Standing:
        """Go on with a run that was stopped or failed, when its devices are free.

        Args:
            name: of the run.
            changes: settings that may change in the middle of a run, such as ``devices``.
            place: ``on`` and ``slurm``, as of an order; None: where it ran before.

        Raises:
            SettingError, RunError: there is no such run, it runs, or there is nothing to do.
        """
        with held(self.root):
            folder = self.folder(name)
            self._require_still(folder, "resumed")
            now_standing = standing(folder, self.reading)
            if now_standing.state == "finished" and not now_standing.resumable:
                raise RunError(f"{folder.name} is finished, so there is nothing to resume.")
            before = read_launch(folder)
            begun = (folder / "config.json").exists()
            if not begun and (before is None or not before.about):
                raise unreadable(folder)
            going = goes_on(
                folder.name,
                self.about(name),
                settings_of(folder, self.reading),
                changes or {},
                place,
            )
            begin = resuming(folder, self.cache, going.words)
            now = time.time()
            fresh = Launch(
                # What never ran begins as it was asked for.
                arguments=(
                    *PROGRAM,
                    *(begin if begun else arguments(going.about, folder, self.cache)),
                ),
                device=canonical(going.share.title),
                automatic=canonical(str(choose_device("auto"))),
                asked=now_standing.asked,
                disk=0 if before is None else before.disk,
                queued=now,
                patience=self.patience,
                about=going.about,
                among=going.share.among,
                count=going.share.needed,
            )
            self._begin(folder, fresh, going.slurm, going.words)
        return self.standing(name)

    def rename(self, name: object, new: object) -> Standing:
        """Give a run another name.

        Raises:
            SettingError, RunError: there is no such run, it runs, or the name is taken.
        """
        wanted = run_name(new, "new_name")
        with held(self.root):
            folder = self.folder(name)
            self._require_still(folder, "renamed")
            target = self.root / wanted
            if os.path.lexists(target):
                raise SettingError("new_name", f"{wanted} already exists. Choose another name.")
            with locked(Run(folder)):
                folder.rename(target)
            self.reading.forget(folder)
            self.settled.forget(folder)
            self.watching.forget(folder)
        return self.standing(wanted)

    def delete(self, name: object) -> Contents:
        """Remove a run with everything in its folder; links in it go, what they lead to stays.

        Raises:
            SettingError, RunError: there is no such run, or it runs.
        """
        with held(self.root):
            folder = self.folder(name)
            self._require_still(folder, "deleted")
            gone = self.contents(name)
            doomed = self.root / f"{DELETED}{secrets.token_hex(6)}"
            with locked(Run(folder)):
                folder.rename(doomed)
            self.reading.forget(folder)
            self.settled.forget(folder)
            self.watching.forget(folder)
        for leftover in self.root.glob(f"{DELETED}*"):
            if not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
        return gone

    def _require_still(self, folder: Path, what: str) -> None:
        """RunError for a run that goes on or waits; the lock is held."""
        state = standing(folder, self.reading).state
        if state in ACTIVE:
            doing = "is waiting in the queue" if state == "queued" else "is running"
            raise RunError(f"{folder.name} {doing}: stop it before it is {what}.")

    # --- beside each other

    def compare(self, names: list[str]) -> dict[str, Any]:
        """The settings in which runs differ, and their numbers: see ``side_by_side``.

        Raises:
            SettingError: there is no such run, or fewer than two.
        """
        if len(set(names)) < 2:
            raise SettingError("names", "Choose at least two runs to compare.")
        folders = [self.folder(name) for name in dict.fromkeys(names)]
        return side_by_side(folders, self.reading, self.watching)


def unreadable(folder: Path) -> SettingError:
    """The error for a run of which nobody can tell what it was asked for."""
    return SettingError(
        "name",
        f"The settings of {folder.name} cannot be read because the files that store them are "
        "damaged or missing. Its checkpoints can still be used.",
    )


def as_text(value: object) -> str:
    """A setting as a command line writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def free_name(root: Path, stem: str) -> str:
    """A name that no run has yet: ``camvid``, ``camvid-2``, …"""
    stem = stem if NAME.fullmatch(stem) else "run"
    for count in range(1, 100_000):
        name = stem if count == 1 else f"{stem[:90]}-{count}"
        if not os.path.lexists(root / name):
            return name
    raise RunError(f"{root} contains too many runs called {stem}.")
