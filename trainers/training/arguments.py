"""What the command line says, in terms of runs: which one, with which settings, on which data."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

from ppap.backbones.naming import absolute, located
from ppap.evaluation.crf import CrfUnavailableError, require_crf
from ppap.settings import SettingError
from trainers.command import expanded
from trainers.config import Config, parse_changes
from trainers.recipes import find, names
from trainers.reporting.wanted import Wanted
from trainers.runs.folder import Run, RunError
from trainers.runs.notes import checked_notes
from trainers.tracking.asked import require_trackers
from trainers.training.resuming import CHANGEABLE, readable_config
from trainers.training.splits import SAMPLES


def read(given: argparse.Namespace) -> tuple[Run, Config]:
    """The run's folder and its configuration; fills in the data set's folder where it is known.

    Raises:
        SettingError, RunError: something on the command line does not fit.
    """
    if getattr(given, "protocol", None) is not None:
        given.set, given.protocol = [*given.set, f"protocol={given.protocol}"], None
    changes = parse_changes(given.set)
    checked_notes({"tags": given.tag})
    for name in ("out", "data", "cache"):
        if getattr(given, name) is not None:
            setattr(given, name, expanded(getattr(given, name)))
    if given.out is None and given.recipe is None and not given.resume:
        raise SettingError(
            "recipe",
            "Give a recipe (--list shows them all) and a folder for the run, such as samples "
            "--out runs/first.",
        )
    if given.out is None:
        raise SettingError("out", "Give a folder for the run: --out runs/NAME.")
    if given.out.exists() and not given.out.is_dir():
        raise RunError(f"{given.out} is a file, not a folder: choose another --out.")
    target = Run(given.out)
    if given.resume:
        return target, _resumed(given, target, changes)
    if given.recipe is None:
        raise SettingError("recipe", f"Name a recipe: {', '.join(names())}.")
    if target.exists():
        raise taken(target)
    config = find(given.recipe).config.with_(changes)
    check_data(given, config)
    # Kept as it is found from here: the run is used from other folders.
    return target, replace(config, backbone=absolute(config.backbone))


def _resumed(given: argparse.Namespace, target: Run, changes: dict[str, str]) -> Config:
    config = readable_config(target)
    if given.recipe is not None and given.recipe != config.recipe:
        raise RunError(
            f"{target.folder} is a run of the recipe {config.recipe}, not {given.recipe}."
        )
    for name in changes:
        if name not in CHANGEABLE:
            raise SettingError(
                name,
                f"{name} cannot change in the middle of a run; only these can: "
                f"{', '.join(CHANGEABLE)}. Start a new run instead.",
            )
    known = target.state().get("data")
    if given.data is None and isinstance(known, str):
        given.data = Path(known)
    check_data(given, config)
    config = replace(config, backbone=located(config.backbone, target.folder))
    return config.with_(changes)


def check_data(given: argparse.Namespace, config: Config) -> None:
    """SettingError where ``--data`` is missing, or is not needed."""
    if given.data is None and config.dataset != SAMPLES:
        raise SettingError("data", "Give the data set folder: --data DIR.")
    if given.data is not None and config.dataset == SAMPLES:
        raise SettingError(
            "data", "The sample photos come with the project: leave out --data, or set dataset=."
        )


def require(config: Config, *, report: bool) -> None:
    """Look for what is only needed later, so that hours of training do not end for want of it.

    Raises:
        CrfUnavailableError, SettingError: it is not installed.
    """
    require_trackers(config.track)
    if config.crf and report:
        try:
            require_crf()
        except CrfUnavailableError as error:
            raise CrfUnavailableError(f"{error} For a report without it, set crf=false.") from None


def taken(target: Run) -> RunError:
    """The error for a folder that is not new."""
    return RunError(
        f"{target.folder} already contains a run. Continue it with --resume, or choose another "
        "--out."
    )


def wanted_report(given: argparse.Namespace, target: Run, config: Config) -> Wanted:
    """What the evaluation at the end of a run is asked for."""
    return Wanted(
        target.folder,
        data=given.data,
        split=config.eval_split,
        kind=config.dataset or None,
        refine=("crf",) if config.crf else (),
        starts=config.report_starts,
        seed=config.seed,
        json=target.folder / "report.json",
        pictures=target.folder / "report",
        device=config.device,
        workers=config.workers,
    )


def command_line(given: argparse.Namespace) -> str:
    """What would begin the same run."""
    words = ["python", "-m", "trainers.train", given.recipe]
    words += ["--data", str(given.data)] if given.data else []
    words += ["--out", str(given.out)]
    words += ["--no-report"] if given.no_report else []
    words += ["--tag", *given.tag] if given.tag else []
    words += ["--set", *given.set] if given.set else []
    return shlex.join(words)
