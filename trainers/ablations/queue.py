"""An ablation's runs in the runner's queue: put there once, gone on with, and counted.

The queue and the runs are on disk and go on by themselves. Whoever asks again for the same ablation
finds them by their names.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from ppap.settings import SettingError
from trainers.ablations.plan import Ablation, PlannedRun, write_grid
from trainers.config import KIND, checked, limits
from trainers.launching.runner import Runner, as_text
from trainers.rules import reads
from trainers.runs.folder import Run
from trainers.runs.launch import holds_run
from trainers.runs.standing import ACTIVE, Standing, State
from trainers.training.arguments import CHANGEABLE, require
from trainers.training.errors import EXPECTED, sentence

# May differ between runs that compute the same. Without CRF, though, a report lacks half its row.
FREE = frozenset(CHANGEABLE) - {"crf"}


class Submitted(NamedTuple):
    """What became of the runs that were neither finished nor under way."""

    started: tuple[str, ...]
    resumed: tuple[str, ...]
    left: dict[str, str]
    """Runs that there was no place for, and why; to be fed when a place comes free."""


@dataclass(frozen=True)
class StudyStanding:
    """Where all runs of an ablation stand."""

    runs: dict[str, Standing | None]
    """By name, in the order of the plan; None for what has not been asked for yet."""
    active: frozenset[str]
    """All runs of the folder that run or wait, others than the study's included."""

    def having(self, *states: State) -> list[Standing]:
        """The runs in any of these states."""
        return [one for one in self.runs.values() if one is not None and one.state in states]

    @property
    def total(self) -> int:
        """How many runs there are to be."""
        return len(self.runs)

    @property
    def finished(self) -> int:
        """How many are finished."""
        return len(self.having("finished"))

    @property
    def running(self) -> int:
        """How many run now."""
        return len(self.having("running", "stopping"))

    @property
    def waiting(self) -> int:
        """How many wait in the queue."""
        return len(self.having("queued"))

    @property
    def stopped(self) -> int:
        """How many were stopped, and can go on."""
        return len(self.having("stopped"))

    @property
    def failed(self) -> int:
        """How many failed."""
        return len(self.having("failed"))

    @property
    def missing(self) -> int:
        """How many were not asked for yet."""
        return sum(one is None for one in self.runs.values())

    def time_left(self, unasked: int = 0) -> float | None:
        """Seconds until all are done that run and wait; None before any has told how long it takes.

        ``unasked``: how many more are still to be asked for.
        """
        now = self.having("running", "stopping")
        whole = [one.seconds for one in self.having("finished") if one.seconds]
        whole = whole or [one.seconds / share(one) for one in now if one.seconds and share(one)]
        if not whole:
            return None
        usual = statistics.fmean(whole)
        left = sum(
            usual * (1 - share(one)) if one.time_left is None else one.time_left for one in now
        )
        return (left + usual * (self.waiting + unasked)) / max(1, len(now))


def share(one: Standing) -> float:
    """How much of a run is done, from 0 to 1."""
    return min(1.0, one.step / one.steps) if one.steps else 0.0


def standing(runner: Runner, ablation: Ablation) -> StudyStanding:
    """How many runs are finished, run, wait or failed.

    Raises:
        SettingError: a run of the same name has other settings.
    """
    everything = {one.name: one for one in runner.runs()}
    planned = ablation.runs()
    require_own(runner, [run for run in planned if run.name in everything], everything)
    active = frozenset(one.name for one in everything.values() if one.state in ACTIVE)
    return StudyStanding({run.name: everything.get(run.name) for run in planned}, active)


def require_own(runner: Runner, planned: list[PlannedRun], there: dict[str, Standing]) -> None:
    """SettingError where a run that is there already is not the one that is planned."""
    for run in planned:
        data = None if run.order.data is None else str(run.order.data)
        differs = different_settings(runner, run)
        if there[run.name].data not in (data, None):
            differs = "different data"
        if differs:
            raise SettingError(
                "name",
                f"The run {run.name} already exists, with {differs}: its numbers must not be "
                "mixed with these. Choose another --name, or delete or rename the run.",
            )


def different_settings(runner: Runner, run: PlannedRun) -> str:
    """In what the run that is there differs from the plan, in words; empty where in nothing."""
    wanted = run.order.config.as_dict()
    for name, value in runner.settings(run.name).items():
        if name in FREE or name not in KIND or not reads(wanted["rule"], name):
            continue
        try:
            same = checked(name, value, KIND[name], limits(name)) == wanted[name]
        except SettingError:
            same = False
        if not same:
            return f"{name}={as_text(value)} instead of {as_text(wanted[name])}"
    return ""


def submit(runner: Runner, ablation: Ablation, *, retry: bool = False) -> Submitted:
    """Put into the queue what is missing, and go on with what was stopped or broke off.

    Finished runs are left alone. A run that failed before its first checkpoint would most likely
    fail again, so that it only begins anew with ``retry``.

    Raises:
        SettingError, DataError, BackboneError, CacheError, CrfUnavailableError: something in it
            cannot be used; nothing was started.
    """
    found = standing(runner, ablation)
    missing = [run for run in ablation.runs() if found.runs[run.name] is None]
    require_possible(runner, missing)
    write_grid(runner.root, ablation)
    started: list[str] = []
    resumed: list[str] = []
    left: dict[str, str] = {}
    for run in ablation.runs():
        there = found.runs[run.name]
        if there is None:
            reason = attempt(runner, run.name, partial(runner.start, run.order))
            started += [run.name] if reason is None else []
        elif goes_on(runner, there, retry=retry):
            reason = attempt(runner, run.name, partial(runner.resume, run.name))
            resumed += [run.name] if reason is None else []
        else:
            continue
        left |= {run.name: reason} if reason else {}
    return Submitted(tuple(started), tuple(resumed), left)


def feed(runner: Runner, ablation: Ablation, left: dict[str, str]) -> dict[str, str]:
    """Try again what there was no place for; what there is still none for, and why."""
    still: dict[str, str] = {}
    for run in ablation.runs():
        if run.name in left:
            reason = attempt(runner, run.name, partial(begin, runner, run))
            still |= {run.name: reason} if reason else {}
    return still


def begin(runner: Runner, run: PlannedRun) -> object:
    """Start a run, or go on with it where it has begun."""
    if holds_run(runner.root / run.name):
        return runner.resume(run.name)
    return runner.start(run.order)


def attempt(runner: Runner, name: str, act: Callable[[], object]) -> str | None:
    """Start or resume a run: why that could not be; None when it was done.

    Empty where it need not be done any more, since somebody else has meanwhile.
    """
    try:
        act()
    except EXPECTED as error:
        for one in runner.runs():
            if one.name == name and one.state in (*ACTIVE, "finished"):
                return ""
        return sentence(error)
    return None


def goes_on(runner: Runner, one: Standing, *, retry: bool = False) -> bool:
    """Whether a run that is there is to be resumed."""
    if one.state == "failed":
        return retry or Run(runner.root / one.name).latest() is not None
    return one.state == "stopped"


def require_possible(runner: Runner, missing: list[PlannedRun]) -> None:
    """Look at data, backbone and packages of every combination, so that none starts in vain."""
    seen: list[str] = []
    for run in missing:
        if run.combination.title not in seen:
            seen.append(run.combination.title)
            require(run.order.config, report=True)
            # Whether there is room now is another question: it may wait until there is.
            runner.estimate(run.order)
